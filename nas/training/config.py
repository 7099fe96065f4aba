"""The configuration of a full training, as plain data, from which a training's folder is resumed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from nas.core.changes import Changes, laid_over, with_assignments
from nas.core.errors import InputError
from nas.core.files import absolute_path, expanded, is_there
from nas.core.flag import RUN, WHERE, Flag
from nas.core.section import Section, validated
from nas.evaluate.data.load import absolute_data
from nas.evaluate.data.settings import DataSettings
from nas.evaluate.data.view import View
from nas.training.history import Metric
from nas.training.recipe import MODERN, TRANSFER, Recipe, load_recipe, make_recipe, recipe_from_scratch
from nas.training.supernet.settings import SupernetSettings
from nas.weights.file import NO_WEIGHTS, TORCHVISION


class Processes(Section):
    """Where a network is trained."""

    count: Annotated[
        int, Flag("--workers", WHERE, help="Processes of Ray Train that share a batch; 0: this process alone.")
    ] = Field(default=0, ge=0)
    """Processes of Ray Train that share each batch; 0 trains in the calling process, without Ray."""
    gpus_per_worker: Annotated[float | None, Flag("--gpus-per-worker", WHERE, help="GPUs of each process.")] = Field(
        default=None, ge=0
    )
    """GPUs of each process; unset: one if there are GPUs."""
    address: Annotated[str | None, Flag("--address", WHERE, help="A Ray cluster that can access the folder.")] = None
    """A running Ray cluster whose nodes can access the training's folder; unset or ``local``: one for this training."""
    train_device: Annotated[
        Literal["auto", "cpu", "cuda"], Flag("--train-device", WHERE, help="Device without Ray: auto, cpu or cuda.")
    ] = "auto"
    """Device of a training without Ray; ``auto``: CUDA if it is available."""
    retries: int = Field(default=3, ge=0)
    """How many times a training continues from its last checkpoint after a process has died."""


def _reference(value: object) -> object:
    return None if value == NO_WEIGHTS else value


class TrainConfig(Section):
    """The complete configuration of a training."""

    thing: str
    """The network, or the space of a supernet."""
    init: Annotated[
        str | None,
        BeforeValidator(_reference),
        Flag("--init", help="Weights to start from: a .safetensors file, a training's folder, torchvision; none."),
    ] = None
    """Weights to start from: a ``.safetensors`` file, a training's folder, or ``torchvision``."""
    teacher: Annotated[
        str | None,
        BeforeValidator(_reference),
        Flag(
            "--teacher",
            help="Network whose outputs are learned too: the folder of a training or a supernet; none.",
        ),
    ] = None
    """Network whose outputs are learned too: a training's folder, a ``.safetensors`` file, ``torchvision/NAME``, or a
    supernet's folder, whose largest network it is. ``recipe.teacher_weight`` is its share of the loss."""
    resolution: Annotated[int, Flag("--resolution", help="In pixels (default: the network's own).")] = Field(ge=1)
    """Resolution of the network's input, in pixels."""
    seed: Annotated[int, Flag("--seed")] = Field(default=0, ge=0)
    """Random seed; the same seed gives the same result."""
    supernet: SupernetSettings | None = None
    """The networks of a supernet; unset: one network is trained."""
    data: DataSettings = DataSettings()
    """The images; their resolution follows from ``resolution`` and the recipe's crops."""
    recipe: Recipe = Recipe()
    workers: Processes = Processes()
    metric: Annotated[
        Metric, Flag("--metric", help="Whose best epoch is kept: accuracy, balanced_accuracy, macro_f1, top5_accuracy.")
    ] = "accuracy"
    """The metric on the validation images by which the best epoch is chosen, and early stopping waits."""
    tensorboard: Annotated[bool, Flag("--tensorboard", RUN, help="Write events for TensorBoard into the folder.")] = (
        False
    )
    """Write events for TensorBoard into the training's folder."""

    def views(self) -> tuple[View, View]:
        """Return what is stored of training images, and of validation and test images."""
        return self.recipe.views(self.resolution)

    def data_settings(self) -> DataSettings:
        """Return the data settings, with the resolution of the images of a prepared folder."""
        return self.data.model_copy(update={"resolution": self.recipe.stored_resolution(self.resolution)})


def make_config(changes: Changes, recipe: str | None, assignments: Sequence[str]) -> TrainConfig:
    """Make a configuration from flags.

    Args:
        changes: values by section, from flags.
        recipe: a shipped recipe or a YAML file; ``None``: ``transfer`` if ``init`` is given, else ``small-images`` up
            to a resolution of 64 px, else ``modern``.
        assignments: ``key.path=value`` with YAML values, which override everything else.

    Raises:
        InputError: naming the key that is unknown or wrong.
    """
    given = with_assignments(changes, assignments)
    if "resolution" in given.get("data", {}):
        raise InputError("data.resolution: follows from --resolution and the recipe's crops; give --resolution")
    side = given.get("resolution")
    usual = recipe_from_scratch(side) if isinstance(side, int) else MODERN
    reference = recipe or (usual if given.get("init") in (None, NO_WEIGHTS) else TRANSFER)
    own = load_recipe(reference)
    make_recipe(own, reference)
    return validate(with_assignments(laid_over({"recipe": own}, changes), assignments), "the command line")


def validate(data: Mapping[str, Any], source: str) -> TrainConfig:
    """Validate a configuration.

    Raises:
        InputError: naming the key that is unknown or wrong.
    """
    return validated(TrainConfig, data, source)


def with_absolute_paths(config: TrainConfig) -> TrainConfig:
    """Return the configuration with absolute paths, so that the training can be resumed from any working directory."""
    changes: dict[str, Any] = {"data": absolute_data(config.data)}
    for name, reference in (("init", config.init), ("teacher", config.teacher)):
        if reference is not None and reference.partition("/")[0] != TORCHVISION and is_there(expanded(reference)):
            changes[name] = absolute_path(reference)
    if config.supernet is not None and (config.thing.endswith((".yaml", ".yml")) or ".py:" in config.thing):
        changes["thing"] = absolute_path(config.thing)
    return config.model_copy(update=changes)
