"""The journal of a study's trainings, from which the same command resumes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from nas.core.errors import WorkError
from nas.core.journal import append_lines
from nas.search.config import RunConfig
from nas.search_spaces.network import Network
from nas.search_spaces.yaml_format import network_to_dict


def digest(config: RunConfig, networks: Iterable[Network]) -> str:
    """Return what stands for all that decides trainings beside their seeds: settings, images and networks."""
    data, evaluator = config.model_dump(mode="json")["data"], config.evaluator
    tables = [network_to_dict(network) for network in networks]
    text = json.dumps([config.seed, evaluator, data, tables], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def save_training(path: Path, row: Mapping[str, Any]) -> None:
    """Add a training to a journal that the same command goes on from.

    Raises:
        WorkError: if it cannot be written; what is there is safe.
    """
    try:
        append_lines(path, [row])
    except OSError as error:
        raise WorkError(
            f"{path}: a training could not be saved ({error.strerror}); what is there is safe. Free space and give the "
            "same command again"
        ) from None
