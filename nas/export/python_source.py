"""Export of a network to one Python file that needs only torch."""

from __future__ import annotations

import pprint
from importlib import resources
from typing import Any

from nas.search_spaces.network import Network
from nas.search_spaces.operations import INPUT_CHANNELS, Convolution, Layer, Step
from nas.weights.file import Weights

_PLACE = "NETWORK: dict[str, Any] = {}\n"


def python_source(network: Network, weights: Weights) -> str:
    """Return ``model.py``: the template, filled with this network's layers, classes and normalisation."""
    template = resources.files("nas.export").joinpath("model_template.py").read_text(encoding="utf-8")
    assert _PLACE in template
    table = pprint.pformat(_table(network, weights), width=116, sort_dicts=False, compact=True)
    source = template.replace(_PLACE, f"NETWORK: dict[str, Any] = {table}\n")
    return source.replace('"""NAME, as plain PyTorch', f'"""{_quoted(network.name)}, as plain PyTorch', 1)


def _table(network: Network, weights: Weights) -> dict[str, Any]:
    stages = list(network.stage_layers())
    last = stages[-1][-1]
    stem, head = network.stem, network.head
    features = head.channels or last.out_channels
    return {
        "name": network.name,
        "resolution": network.resolution,
        "side": round(network.resolution / weights.crop_share),
        "interpolation": weights.interpolation,
        "classes": list(weights.classes),
        "pixel_range": weights.pixel_range and weights.pixel_range.ends,
        "mean": list(weights.mean),
        "std": list(weights.std),
        "epsilon": network.norm_epsilon,
        "stem": [INPUT_CHANNELS, stem.channels, stem.kernel, stem.stride, 1, stem.activation],
        "stem_pool": stem.pool == "max",
        "stages": [[_layer(layer) for layer in layers] for layers in stages],
        "head": [last.out_channels, head.channels, 1, 1, 1, head.activation] if head.channels else None,
        "hidden": [features, head.hidden, head.activation] if head.hidden else None,
        "dropout": head.dropout,
        "classifier": [head.hidden or features, network.classes],
    }


def _layer(layer: Layer) -> list[Any]:
    shortcut: list[Any] | None = None
    if layer.shortcut == "identity":
        shortcut = ["identity"]
    elif layer.shortcut == "pooling":
        shortcut = ["pooling", 3, layer.stride, 1, False, False]  # padding is not counted
    elif layer.projection is not None:
        shortcut = ["projection", *_step(layer.projection)[1:]]
    return [[_step(step) for step in layer.steps], shortcut, layer.activation]


def _step(step: Step) -> list[Any]:
    if isinstance(step, Convolution):
        return [
            "conv",
            step.in_channels,
            step.out_channels,
            step.kernel,
            step.stride,
            step.groups,
            step.activation,
        ]
    return ["se", step.channels, step.squeeze, step.activation, step.gate]


def _quoted(text: str) -> str:
    """Return a name without backslashes and double quotes, so that it is safe inside a docstring."""
    return text.replace("\\", "/").replace('"', "'")
