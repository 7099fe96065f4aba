"""What a full training is of, as plain data; with it a training's folder can be taken up again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from nas.core.changes import Changes, laid_over, with_assignments
from nas.core.errors import InputError
from nas.core.files import absolute_path
from nas.core.flag import RUN, WHERE, Flag
from nas.core.section import Section, validated
from nas.evaluate.data.load import absolute_data
from nas.evaluate.data.settings import DataSettings
from nas.training.recipe import MODERN, TRANSFER, Recipe, load_recipe, make_recipe
from nas.weights.file import TORCHVISION


class Processes(Section):
    """Where a network is trained."""

    count: Annotated[
        int, Flag("--workers", WHERE, help="Processes of Ray Train that share a batch; 0: this process alone.")
    ] = Field(default=0, ge=0)
    """Processes of Ray Train that share each batch; 0 trains in the calling one, without Ray."""
    gpus_per_worker: Annotated[float | None, Flag("--gpus-per-worker", WHERE, help="GPUs of each process.")] = Field(
        default=None, ge=0
    )
    """GPUs of each; unset: one where there are GPUs."""
    address: Annotated[str | None, Flag("--address", WHERE, help="A running Ray cluster that sees the folder.")] = None
    """A running Ray cluster; unset or ``local``: one for this training alone. Its nodes have to see the folder."""
    train_device: Annotated[
        Literal["auto", "cpu", "cuda"], Flag("--train-device", WHERE, help="Without Ray: auto, cpu or cuda.")
    ] = "auto"
    """Where a training without Ray runs; ``auto``: CUDA where it is."""
    retries: int = Field(default=3, ge=0)
    """How often a training whose worker died goes on from its last checkpoint."""


class TrainConfig(Section):
    """Everything that decides a training."""

    thing: str
    """The network."""
    init: Annotated[
        str | None,
        Flag("--init", help="Weights to start from: a .safetensors file, a training's folder, torchvision."),
    ] = None
    """Weights to start from: a ``.safetensors`` file, a training's folder, or ``torchvision``."""
    resolution: Annotated[int, Flag("--resolution", help="In pixels (default: the network's own).")] = Field(ge=1)
    """What the network sees, in pixels."""
    seed: Annotated[int, Flag("--seed")] = Field(default=0, ge=0)
    """One seed, one result."""
    data: DataSettings = DataSettings()
    """Which images; their resolution follows from the network's and the recipe's crops."""
    recipe: Recipe = Recipe()
    workers: Processes = Processes()
    tensorboard: Annotated[bool, Flag("--tensorboard", RUN, help="Write events for TensorBoard into the folder.")] = (
        False
    )
    """Write events for TensorBoard into the training's folder."""

    def data_settings(self) -> DataSettings:
        """Return the data's settings, at the side at which images are kept."""
        return self.data.model_copy(update={"resolution": self.recipe.stored_resolution(self.resolution)})


def make_config(changes: Changes, recipe: str | None, assignments: Sequence[str]) -> TrainConfig:
    """Make a configuration from flags.

    Args:
        changes: values by section, from flags.
        recipe: a shipped recipe or a YAML file; ``None``: ``transfer`` with initial weights, else ``modern``.
        assignments: ``key.path=value`` with YAML values, laid over all else.

    Raises:
        InputError: naming the key that is unknown or wrong.
    """
    given = with_assignments(changes, assignments)
    if "resolution" in given.get("data", {}):
        raise InputError("data.resolution: follows from --resolution and the recipe's crops; give --resolution")
    reference = recipe or (MODERN if given.get("init") is None else TRANSFER)
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
    """Return the configuration with every path absolute, so that it goes on from any working directory."""
    init = config.init
    if init is not None and init != TORCHVISION:
        init = absolute_path(init)
    return config.model_copy(update={"data": absolute_data(config.data), "init": init})
