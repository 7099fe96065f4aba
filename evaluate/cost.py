"""Exact MACs and parameters by arithmetic on the stage table; no module is built.

MACs are multiply-adds of convolutions and linear layers, squeeze-and-excitation included; BatchNorm, activations,
biases, pooling and the SE's gating multiply count nothing. This is what every "FLOPS" figure of the MnasNet and
EfficientNet papers means, and half of what ``torch.utils.flop_counter`` prints. Parameters are what
``module.parameters()`` holds: BatchNorm's scale and shift are in, its running statistics are not.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from nas.search_spaces.network import INPUT_CHANNELS, Head, Layer, Network, Stage, Stem, output_size, realise


@dataclass(frozen=True, slots=True)
class Cost:
    """What a network, a stage or a layer costs.

    Attributes:
        macs: multiply-adds for one image.
        params: trainable parameters.
    """

    macs: int
    params: int

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.macs + other.macs, self.params + other.params)


def total(costs: Iterable[Cost]) -> Cost:
    """Add costs up."""
    return sum(costs, Cost(0, 0))


def network_cost(network: Network) -> Cost:
    """Return the exact cost of a stage table at its own resolution and number of classes."""
    return total(part for _, part in cost_by_part(network))


def cost_by_part(network: Network) -> list[tuple[str, Cost]]:
    """Return the cost of the stem, of each stage and of the head, in this order."""
    parts = [("stem", stem_cost(network.stem, network.resolution))]
    channels, size = network.stem.channels, network.stem_size
    for index, stage in enumerate(network.stages):
        parts.append((f"stage{index + 1}", stage_cost(stage, channels, size)))
        channels, size = stage.channels, output_size(size, stage.stride)
    return [*parts, ("head", head_cost(network.head, channels, size, network.classes))]


def stem_cost(stem: Stem, resolution: int) -> Cost:
    """Cost of the stem's convolution and BatchNorm."""
    return _conv(INPUT_CHANNELS, stem.channels, output_size(resolution, stem.stride), stem.kernel)


@lru_cache(maxsize=2**16)
def stage_cost(stage: Stage, in_channels: int, size: int) -> Cost:
    """Cost of all layers of a stage that reads ``in_channels`` maps of side ``size``."""
    return total(layer_cost(layer) for layer in realise(stage, in_channels, size))


def layer_cost(layer: Layer) -> Cost:
    """Cost of one MBConv: expansion (unless the ratio is 1), depthwise, SE, projection."""
    inner, squeeze = layer.expanded_channels, layer.se_channels
    depthwise = layer.kernel**2 * inner
    cost = Cost(depthwise * layer.out_size**2, depthwise + 2 * inner)
    if inner != layer.in_channels:
        cost += _conv(layer.in_channels, inner, layer.in_size)
    if squeeze:
        cost += Cost(2 * inner * squeeze, 2 * inner * squeeze + squeeze + inner)
    return cost + _conv(inner, layer.out_channels, layer.out_size)


def head_cost(head: Head, in_channels: int, size: int, classes: int) -> Cost:
    """Cost of the 1x1 convolution with its BatchNorm and of the classifier."""
    classifier = head.channels * classes
    return _conv(in_channels, head.channels, size) + Cost(classifier, classifier + classes)


def _conv(in_channels: int, out_channels: int, out_size: int, kernel: int = 1) -> Cost:
    """Cost of a dense convolution without bias and its BatchNorm."""
    weights = in_channels * out_channels * kernel**2
    return Cost(weights * out_size**2, weights + 2 * out_channels)
