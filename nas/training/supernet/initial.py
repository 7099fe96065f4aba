"""The weights that a supernet starts from: those of one network, placed where it is in the space."""

from __future__ import annotations

from nas.core.errors import InputError
from nas.core.records import Architecture
from nas.evaluate.supernet.supernet import Supernet
from nas.search_spaces.genotype import genotype_of
from nas.search_spaces.space import SearchSpace
from nas.search_spaces.stage_table import StageTableSpace
from nas.weights.file import TORCHVISION, Weights
from nas.weights.find import weights_of

_HEAD = ("classifier.weight", "classifier.bias")


def initial_weights(reference: str) -> Weights:
    """Return the weights that a supernet starts from.

    Args:
        reference: a training's folder, a ``.safetensors`` file, or ``torchvision/NAME``.

    Raises:
        InputError: if there are no such weights.
    """
    found = None if reference == TORCHVISION else weights_of(reference)
    if found is None:
        raise InputError(
            f"--init: expected a training's folder, a .safetensors file or {TORCHVISION}/NAME, got '{reference}'"
        )
    return found


def place_of_weights(space: SearchSpace, weights: Weights) -> Architecture:
    """Return the genotype of the network that weights belong to.

    Raises:
        InputError: if the network is not in the space, naming the part that differs.
    """
    if not isinstance(space, StageTableSpace):
        raise InputError(f"--init: '{space.name}' is a space in Python; only networks of spaces in YAML are found")
    try:
        return genotype_of(space, weights.network)
    except InputError as error:
        raise InputError(f"--init: {error}") from None


def place_weights(supernet: Supernet, architecture: Architecture, weights: Weights, classes: tuple[str, ...]) -> None:
    """Copy the weights of a network into the shared tensors; the classifier only if the classes are the same."""
    left_out = () if weights.classes == classes else _HEAD
    supernet.place(architecture, {name: one for name, one in weights.tensors.items() if name not in left_out})
