"""Conversion of the weights of torchvision's models: the name of each layer in torchvision and in our modules.

A stage table and torchvision's model of the same network hold the same layers in the same order under other names:

======================= ==================================== =======================================================
ours                    torchvision                          where
======================= ==================================== =======================================================
``stem.0``, ``stem.1``  ``features.0.0``, ``features.0.1``   EfficientNet, MobileNetV2, MobileNetV3
                        ``conv1``, ``bn1``                   ResNet
                        ``layers.0``, ``layers.1``           MnasNet
``stages.S.L.blocks.J`` ``features.S+1.L.block.J``           EfficientNet (SE: ``fc1``, ``fc2`` for our two)
                        ``features.I.block.J``               MobileNetV3 (I counts all layers from 1)
                        ``features.I.conv.J``                MobileNetV2 (the projection's BatchNorm is ``conv.J+1``)
                        ``layerS+1.L.convJ+1``, ``bnJ+1``    ResNet
                        ``layers.S+7.L.layers.3J``, ``3J+1`` MnasNet (its first block: ``layers.3J+3``, ``3J+4``)
``shortcut``            ``downsample``                       ResNet
``head``                the last of ``features``             all but MnasNet (``layers.14``, ``15``) and ResNet (none)
``hidden.0``            ``classifier.0``                     MobileNetV3
``classifier``          ``classifier.1``, ``.3`` or ``fc``   the last linear layer
======================= ==================================== =======================================================

BatchNorm's epsilon differs between libraries and belongs to the weights, so ``torchvision_network`` sets it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nas.core.errors import InputError, nearest_name
from nas.scale.find_network import find_network
from nas.search_spaces.network import Network
from nas.search_spaces.operations import Excitation, Layer

if TYPE_CHECKING:
    from torch import Tensor

    from nas.search_spaces.module import NetworkModule

Pairs = Iterator[tuple[str, str]]

# Our name, torchvision's name, and its BatchNorm epsilon.
TORCHVISION: dict[str, tuple[str, float]] = {
    **{f"efficientnet_b{number}": (f"efficientnet_b{number}", 1e-5 if number < 5 else 1e-3) for number in range(8)},
    **{f"resnet{depth}": (f"resnet{depth}", 1e-5) for depth in (18, 34, 50, 101, 152)},
    "mnasnet_b1": ("mnasnet1_0", 1e-5),
    "mobilenet_v2": ("mobilenet_v2", 1e-5),
    "mobilenet_v3_large": ("mobilenet_v3_large", 1e-3),
    "mobilenet_v3_small": ("mobilenet_v3_small", 1e-3),
}


def torchvision_network(name: str) -> Network:
    """Return a reference network's stage table as torchvision builds it.

    Raises:
        InputError: if torchvision has no such model.
    """
    if name not in TORCHVISION:
        raise InputError(f"torchvision has no weights for '{name}'{nearest_name(name, TORCHVISION)}")
    return replace(find_network(name), norm_epsilon=TORCHVISION[name][1])


def torchvision_preprocessing(name: str) -> dict[str, Any]:
    """Return how torchvision's weights of a reference network see an image, as fields of ``Weights``.

    Raises:
        InputError: if torchvision has no such model.
    """
    from torchvision.models import get_model_weights
    from torchvision.transforms import InterpolationMode

    torchvision_network(name)
    own = get_model_weights(TORCHVISION[name][0])["DEFAULT"].transforms()
    return {
        "mean": tuple(255 * value for value in own.mean),
        "std": tuple(255 * value for value in own.std),
        "crop_share": own.crop_size[0] / own.resize_size[0],
        "interpolation": "bicubic" if own.interpolation == InterpolationMode.BICUBIC else "bilinear",
    }


def from_torchvision(name: str, weights: str | None = "DEFAULT") -> NetworkModule:
    """Return our module of a reference network with torchvision's weights, downloaded unless ``weights`` is ``None``.

    Args:
        name: name of a reference network, for instance ``efficientnet_b0``.
        weights: as ``torchvision.models.get_model`` takes them; ``None`` for torchvision's random initialisation.

    Raises:
        InputError: if torchvision has no such model.
    """
    from torchvision.models import get_model

    from nas.search_spaces.module import build

    network = torchvision_network(name)
    theirs = get_model(TORCHVISION[name][0], weights=weights)
    module = build(network)
    module.load_state_dict(convert(name, theirs.state_dict()))
    return module


def convert(name: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return torchvision's state dict under our names.

    Raises:
        InputError: if torchvision has no such model, or a key has no counterpart.
    """
    theirs_to_ours = {theirs: ours for ours, theirs in layer_names(name)}
    converted = {}
    for key, value in state.items():
        layer, _, field = key.rpartition(".")
        if layer not in theirs_to_ours:
            raise InputError(f"weights of {name}: torchvision's '{key}' has no counterpart")
        converted[f"{theirs_to_ours[layer]}.{field}"] = value
    return converted


def layer_names(name: str) -> Pairs:
    """Yield our name and torchvision's of every convolution, BatchNorm and linear layer.

    Raises:
        InputError: if torchvision has no such model.
    """
    network = torchvision_network(name)
    family = next(family for prefix, family in _FAMILIES.items() if name.startswith(prefix))
    return family(network)


def _layers(network: Network) -> Iterator[tuple[int, int, int, Layer, str]]:
    """Yield for every layer: its number from 1, its stage, its index in the stage, the layer, and our name prefix."""
    number = 0
    for stage, layers in enumerate(network.stage_layers()):
        for index, layer in enumerate(layers):
            number += 1
            yield number, stage, index, layer, f"stages.{stage}.{index}"


def _efficientnet(network: Network) -> Pairs:
    yield from _unit("stem", "features.0")
    for _, stage, index, layer, ours in _layers(network):
        for step, kind in enumerate(layer.steps):
            yield from _step(kind, f"{ours}.blocks.{step}", f"features.{stage + 1}.{index}.block.{step}")
    yield from _unit("head", f"features.{len(network.stages) + 1}")
    yield "classifier", "classifier.1"


def _mobilenet_v3(network: Network) -> Pairs:
    yield from _unit("stem", "features.0")
    number = 0
    for number, _, _, layer, ours in _layers(network):
        for step, kind in enumerate(layer.steps):
            yield from _step(kind, f"{ours}.blocks.{step}", f"features.{number}.block.{step}")
    yield from _unit("head", f"features.{number + 1}")
    yield "hidden.0", "classifier.0"
    yield "classifier", "classifier.3"


def _mobilenet_v2(network: Network) -> Pairs:
    yield from _unit("stem", "features.0")
    number = 0
    for number, _, _, layer, ours in _layers(network):
        theirs, last = f"features.{number}.conv", len(layer.steps) - 1
        for step in range(last):
            yield from _unit(f"{ours}.blocks.{step}", f"{theirs}.{step}")
        yield from _unit(f"{ours}.blocks.{last}", theirs, last)
    yield from _unit("head", f"features.{number + 1}")
    yield "classifier", "classifier.1"


def _mnasnet(network: Network) -> Pairs:
    yield from _unit("stem", "layers", 0)
    for _, stage, index, layer, ours in _layers(network):
        for step in range(len(layer.steps)):
            inner = (f"layers.{stage + 7}.{index}.layers", 3 * step) if stage else ("layers", 3 * step + 3)
            yield from _unit(f"{ours}.blocks.{step}", *inner)
    yield from _unit("head", "layers", 14)
    yield "classifier", "classifier.1"


def _resnet(network: Network) -> Pairs:
    yield "stem.0", "conv1"
    yield "stem.1", "bn1"
    for _, stage, index, layer, ours in _layers(network):
        theirs = f"layer{stage + 1}.{index}"
        for step in range(len(layer.steps)):
            yield f"{ours}.blocks.{step}.0", f"{theirs}.conv{step + 1}"
            yield f"{ours}.blocks.{step}.1", f"{theirs}.bn{step + 1}"
        if layer.projection:
            yield from _unit(f"{ours}.shortcut", f"{theirs}.downsample")
    yield "classifier", "fc"


_FAMILIES = {
    "efficientnet": _efficientnet,
    "mobilenet_v3": _mobilenet_v3,
    "mobilenet_v2": _mobilenet_v2,
    "mnasnet": _mnasnet,
    "resnet": _resnet,
}


def _unit(ours: str, theirs: str, place: int = 0) -> Pairs:
    """Yield the names of a convolution and its BatchNorm: numbers 0 and 1 in ours, ``place`` and the next in theirs."""
    for part in (0, 1):
        yield f"{ours}.{part}", f"{theirs}.{place + part}"


def _step(kind: object, ours: str, theirs: str) -> Pairs:
    if isinstance(kind, Excitation):
        yield f"{ours}.reduce", f"{theirs}.fc1"
        yield f"{ours}.expand", f"{theirs}.fc2"
    else:
        yield from _unit(ours, theirs)
