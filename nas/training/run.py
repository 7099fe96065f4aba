"""A training's folder.

``train.yaml`` is the complete configuration, ``network.yaml`` the network as trained, ``weights.safetensors`` the best
weights so far. ``checkpoint.json`` with its tensors is the state from which a training is resumed. ``history.csv`` has
one row for each epoch, ``curves.svg`` plots them, and ``result.json`` is the result.
"""

from __future__ import annotations

import json
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.core.documents import read_json, read_mapping, read_yaml, to_yaml
from nas.core.errors import InputError
from nas.core.files import cannot_write, check_empty, hold, write_whole
from nas.core.program import program
from nas.core.version import versions
from nas.evaluate.data.identity import IDENTITY, NOTHING_SEEN, DataIdentity, SeenImages, check_same_images
from nas.evaluate.data.image_data import ImageData
from nas.evaluate.data.settings import keep_old_split
from nas.search_spaces.network import Network
from nas.search_spaces.yaml_format import load_network, network_to_yaml
from nas.training.checkpoint import STATE
from nas.training.config import TrainConfig, validate
from nas.training.history import read_table
from nas.weights.file import RESULT

CONFIG, NETWORK, HISTORY, CURVES = "train.yaml", "network.yaml", "history.csv", "curves.svg"


@dataclass(frozen=True)
class TrainingRun:
    """A training's folder.

    Attributes:
        path: the folder.
        config: the complete configuration as used.
        network: the network as trained: at the training's resolution, with the data's classes.
        images: identity of the images; ``None`` in folders from before 0.1.0.
        seen: sample of the images that its weights have been trained on, those of ``init`` included.
    """

    path: Path
    config: TrainConfig
    network: Network
    images: DataIdentity | None
    seen: SeenImages = NOTHING_SEEN

    @classmethod
    def create(
        cls, path: Path, config: TrainConfig, network: Network, images: DataIdentity, seen: SeenImages
    ) -> TrainingRun:
        """Make the folder and write the configuration and the network.

        Raises:
            InputError: if the folder is not empty.
            WorkError: if it cannot be written.
        """
        check_free(path)
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise cannot_write(path, error) from None
        write_whole(path / NETWORK, network_to_yaml(network))
        write_whole(path / IDENTITY, json.dumps(images.as_dict() | {"seen": seen.as_dict()}, indent=1) + "\n")
        data = config.model_dump(mode="json") | {"images": images.digest, "versions": versions()}
        write_whole(path / CONFIG, to_yaml(data))
        return cls(path, config, network, images, seen)

    @classmethod
    def open(cls, path: Path) -> TrainingRun:
        """Open a folder to resume its training.

        Raises:
            InputError: if it is not a training's folder.
        """
        if not (path / CONFIG).is_file():
            search = f"; it is a search's run; resume it with: {program()} search --resume {shlex.quote(str(path))}"
            known = search if (path / "trials.jsonl").is_file() else ""
            raise InputError(f"--resume: expected a training's folder, but '{path}' has no {CONFIG}{known}")
        data = read_yaml(path / CONFIG)
        data.pop("versions", None)
        data.pop("images", None)
        keep_old_split(data)
        config, network = validate(data, str(path / CONFIG)), load_network(path / NETWORK)
        if not (path / IDENTITY).exists():  # a folder from before 0.1.0
            return cls(path, config, network, None)
        try:
            values = read_json(path / IDENTITY)
            return cls(
                path, config, network, DataIdentity.read(values, str(path / IDENTITY)), SeenImages.read(values["seen"])
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path / IDENTITY}: cannot be read ({error}); restore it") from None

    @property
    def resume_command(self) -> str:
        """The command that resumes this training."""
        command = "train" if self.config.supernet is None else "supernet train"
        return f"{program()} {command} --resume {shlex.quote(str(self.path))}"

    def lock(self) -> None:
        """Lock the folder against other processes until this process ends.

        Raises:
            InputError: if another process holds the lock.
        """
        hold(self.path / CONFIG, "resume")

    def check_images(self, data: ImageData) -> None:
        """Check that the images are those that the training began with.

        Raises:
            InputError: if the images, their classes or their split differ.
        """
        way_on = "Restore them, or begin a new training with another --out"
        check_same_images(self.images, DataIdentity.of(data), "resume", self.config.data.source, way_on)

    def discard(self) -> None:
        """Delete the folder if it holds no checkpoint."""
        if not (self.path / STATE).exists():
            shutil.rmtree(self.path, ignore_errors=True)

    def progress(self) -> str:
        """Return how far the training was at its checkpoint, in words."""
        values = read_mapping(self.path / STATE)
        return f"epoch {values['epoch'] + 1}, step {values['step']}" if {"epoch", "step"} <= set(values) else "nothing"

    def history(self) -> list[dict[str, str]]:
        """Return the rows of the epochs that have ended, by column."""
        try:
            text = (self.path / HISTORY).read_text(encoding="utf-8")
        except OSError:
            return []
        return read_table(text)

    def result(self) -> dict[str, Any] | None:
        """Return the content of ``result.json``; ``None`` if the training has not ended."""
        return read_mapping(self.path / RESULT) or None


def check_free(path: Path) -> None:
    """Check that a new training may be written into ``path``.

    Raises:
        InputError: if the folder is not empty.
    """
    known = (path / CONFIG).is_file()
    check_empty(path, TrainingRun.open(path).resume_command if known else "")
