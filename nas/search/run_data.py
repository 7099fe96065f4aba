"""The images of a search, for commands that train the network that it found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from nas.core.files import absolute_path, expanded, is_there
from nas.evaluate.data.identity import DataIdentity
from nas.evaluate.data.load import data_names
from nas.search.inputs import located_data
from nas.search.run_directory import check_run_images, read_config, read_identity

_INHERITED = ("source", "classes", "validation", "test", "split_seed")


def data_of_run(thing: str, source: str | None) -> dict[str, Any]:
    """Return the data settings that a training of a run's network inherits, so that its split is that of the search.

    Args:
        thing: what is trained.
        source: the images that the user names; ``None``: those of the run.

    Returns:
        The source, the classes and the split; empty if ``thing`` is not the directory of a run that trained networks,
        or the user names other images.

    Raises:
        InputError: if the run's configuration cannot be read.
    """
    path = _run_of(thing)
    if path is None or read_identity(path) is None:
        return {}
    config = read_config(path, "train")
    settings = config.data.model_copy(update={"source": located_data(path, config)})
    if source is not None and _place(source) != _place(settings.source):
        return {}
    return {name: getattr(settings, name) for name in _INHERITED}


def supernet_of_run(thing: str) -> str | None:
    """Return the supernet of the search that ``thing`` names; ``None`` if it had none, or it is not there any more.

    Raises:
        InputError: if the run's configuration cannot be read.
    """
    path = _run_of(thing)
    found = None if path is None else read_config(path, "train").evaluator_options.get("supernet")
    return found if isinstance(found, str) and is_there(expanded(found)) else None


def check_of_run(thing: str) -> Callable[[DataIdentity], None]:
    """Return a check that images are those of the run that ``thing`` names; it raises ``InputError`` if not."""
    path = _run_of(thing)

    def check(now: DataIdentity) -> None:
        if path is not None:
            check_run_images(path, read_config(path), read_identity(path), now)

    return check


def other_split(thing: str, now: DataIdentity) -> str:
    """Return how the images of a training differ from those of the run that ``thing`` names, in words.

    The result is empty if they are the same, or ``thing`` is not a run that trained networks.
    """
    path = _run_of(thing)
    then = None if path is None else read_identity(path)
    return "" if then is None else then.changes_to(now)


def _run_of(thing: str) -> Path | None:
    """Return the directory of the run that a THING names, itself or by its ``baseline.yaml``; else ``None``."""
    path = expanded(thing)
    path = path.parent if path.name == "baseline.yaml" else path
    return path if is_there(path / "trials.jsonl") and is_there(path / "config.yaml") else None


def _place(source: str) -> str:
    return source if source in data_names() else absolute_path(source)
