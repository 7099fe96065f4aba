"""The weights of a THING, as commands name it: a network, a training's folder or a file of weights."""

from __future__ import annotations

from nas.core.errors import InputError
from nas.core.files import expanded
from nas.evaluate.supernet.file import SHARED
from nas.scale.find_network import find_network
from nas.search_spaces.module import NetworkModule, build
from nas.weights.file import TORCHVISION, Weights, find_weights, random_weights
from nas.weights.names import WEIGHTS


def load_weights(thing: str, weights: str | None) -> Weights | None:
    """Return the weights of a THING, with their network.

    Args:
        thing: a network, a training's folder or a ``.safetensors`` file; the last two have weights of their own.
        weights: a file, a training's folder or ``torchvision``; ``None`` for the THING's own weights.

    Returns:
        The weights; ``None`` if the THING has no weights of its own and ``weights`` is ``None``.

    Raises:
        InputError: if the weights belong to another network.
    """
    own = expanded(thing)
    if own.suffix == ".safetensors":
        if weights is not None:
            raise InputError(f"weights: '{thing}' is a file of weights already; leave --weights out")
        return Weights.read(own)
    if weights is None and (own / SHARED).is_file():
        raise InputError(
            f"weights: '{thing}' is a supernet; find a network with nas search --supernet {thing}, and name its run"
        )
    if weights is None and (own / WEIGHTS).is_file():
        return Weights.read(own / WEIGHTS)
    network = find_network(thing)
    if weights is None:
        return None
    found = find_weights(weights, network)
    if weights != TORCHVISION:
        found.into(build(network.at(classes=found.network.classes)))
    return found


def weights_of(reference: str) -> Weights | None:
    """Return the weights that a reference names by itself; ``None`` for a network that has none of its own.

    Args:
        reference: a training's folder, a search with a supernet, a ``.safetensors`` file, or ``torchvision/NAME``.

    Raises:
        InputError: if there is nothing of that name.
    """
    name = reference.removeprefix(f"{TORCHVISION}/")
    return load_weights(reference, None) if name == reference else find_weights(TORCHVISION, find_network(name))


def inherited_weights(thing: str) -> Weights | None:
    """Return the weights that a search with a supernet kept for its network; ``None`` if the THING is none.

    Raises:
        InputError: if they are damaged.
    """
    folder = expanded(thing)
    is_search = (folder / "trials.jsonl").is_file()
    return Weights.read(folder / WEIGHTS) if is_search and (folder / WEIGHTS).is_file() else None


def weights_or_initial(thing: str, weights: str | None) -> tuple[Weights, bool]:
    """Return the weights of a THING, or initial weights if it has none, and whether they are trained."""
    found = load_weights(thing, weights)
    return (random_weights(find_network(thing)), False) if found is None else (found, True)


def make_module(weights: Weights) -> NetworkModule:
    """Return the module with its weights, in ``eval`` mode."""
    module = build(weights.network)
    weights.into(module)
    return module.eval()
