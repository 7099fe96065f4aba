"""What a full training is of, as plain data; with it a training's folder can be taken up again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError

from nas.core.errors import InputError, explain
from nas.core.section import Section
from nas.evaluate.data.load import data_names
from nas.evaluate.data.settings import DataSettings
from nas.training.recipe import MODERN, TRANSFER, Recipe, load_recipe, make_recipe
from nas.weights.file import TORCHVISION


class Processes(Section):
    """Where a network is trained."""

    count: int = Field(default=0, ge=0)
    """Processes of Ray Train that share each batch; 0 trains in the calling one, without Ray."""
    gpus_per_worker: float | None = Field(default=None, ge=0)
    """GPUs of each; unset: one where there are GPUs."""
    address: str | None = None
    """A running Ray cluster; unset or ``local``: one for this training alone. Its nodes have to see the folder."""
    train_device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where a training without Ray runs; ``auto``: CUDA where it is."""
    retries: int = Field(default=3, ge=0)
    """How often a training whose worker died goes on from its last checkpoint."""


class TrainConfig(Section):
    """Everything that decides a training."""

    thing: str
    """The network."""
    init: str | None = None
    """Weights to start from: a ``.safetensors`` file, a training's folder, or ``torchvision``."""
    resolution: int = Field(ge=1)
    """What the network sees, in pixels."""
    seed: int = Field(default=0, ge=0)
    """One seed, one result."""
    data: DataSettings = DataSettings()
    """Which images; their resolution follows from the network's and the recipe's crops."""
    recipe: Recipe = Recipe()
    workers: Processes = Processes()
    tensorboard: bool = False
    """Write events for TensorBoard into the training's folder."""

    def data_settings(self) -> DataSettings:
        """Return the data's settings, at the side at which images are kept."""
        return replace(self.data, resolution=self.recipe.stored_resolution(self.resolution))


def make_config(values: Mapping[str, Any], recipe: str | None, assignments: Sequence[str]) -> TrainConfig:
    """Make a configuration from flags.

    Args:
        values: by dotted key; ``None`` values are left out.
        recipe: a shipped recipe or a YAML file; ``None``: ``transfer`` with initial weights, else ``modern``.
        assignments: ``key.path=value`` with YAML values, laid over all else.

    Raises:
        InputError: naming the key that is unknown or wrong.
    """
    changes = {key: value for key, value in values.items() if value is not None}
    for assignment in assignments:
        key, separator, text = assignment.partition("=")
        if not separator or not key:
            raise InputError(f"--set: expected key.path=value, got '{assignment}'")
        try:
            changes[key] = yaml.safe_load(text)
        except (yaml.YAMLError, ValueError):
            raise InputError(f"--set: the value of '{assignment}' is no valid YAML") from None
    if "data.resolution" in changes:
        raise InputError("data.resolution: follows from --resolution and the recipe's crops; give --resolution")
    reference = recipe or (MODERN if changes.get("init") is None else TRANSFER)
    own = load_recipe(reference)
    make_recipe(own, reference)
    data: dict[str, Any] = {"recipe": own}
    for key, value in changes.items():
        *sections, last = key.split(".")
        here = data
        for section in sections:
            here = here.setdefault(section, {})
            if not isinstance(here, dict):
                raise InputError(f"{key}: '{section}' holds the plain value {here!r}, no keys")
        here[last] = value
    return validate(data, "the command line")


def validate(data: Mapping[str, Any], source: str) -> TrainConfig:
    """Validate a configuration.

    Raises:
        InputError: naming the key that is unknown or wrong.
    """
    try:
        return TrainConfig.model_validate(data)
    except ValidationError as error:
        raise InputError(explain(error, TrainConfig, source)) from None


def with_absolute_paths(config: TrainConfig) -> TrainConfig:
    """Return the configuration with every path absolute, so that it goes on from any working directory."""
    data, init = config.data, config.init
    if data.source not in data_names():
        data = replace(data, source=str(Path(data.source).expanduser().resolve()))
    if init is not None and init != TORCHVISION:
        init = str(Path(init).expanduser().resolve())
    return config.model_copy(update={"data": data, "init": init})
