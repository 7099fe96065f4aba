"""Exact costs by arithmetic on the stage table; no module is built.

MACs are multiply-adds of convolutions and linear layers, squeeze-and-excitation included; BatchNorm, activations,
biases, pooling and the SE's gating multiply count 0. The "FLOPS" of the MnasNet and EfficientNet papers are these MACs;
``torch.utils.flop_counter`` prints twice as many. Parameters are those of ``module.parameters()``: they include
BatchNorm's scale and shift, but not its running statistics.

Activation memory is the peak memory of the float32 maps during inference on one image: while a convolution runs, its
input, its output and the maps that a shortcut still holds. BatchNorm, activations, gating and additions are counted as
in-place operations, because every deployment runtime fuses them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from nas.search_spaces.network import Network
from nas.search_spaces.operations import INPUT_CHANNELS, Convolution, Layer, Step, realise
from nas.search_spaces.parts import Head, Stage, Stem, output_size

FLOAT_BYTES = 4


@dataclass(frozen=True, slots=True)
class Cost:
    """Cost of a network, a stage or a layer. The sum of two costs has the larger of their peaks.

    Attributes:
        macs: multiply-adds for one image.
        params: trainable parameters.
        peak_activation_bytes: peak bytes of float32 activations, for one image.
    """

    macs: int
    params: int
    peak_activation_bytes: int = 0

    def __add__(self, other: Cost) -> Cost:
        peak = max(self.peak_activation_bytes, other.peak_activation_bytes)
        return Cost(self.macs + other.macs, self.params + other.params, peak)

    @property
    def weight_bytes(self) -> int:
        """Bytes of the parameters in float32."""
        return FLOAT_BYTES * self.params

    @property
    def memory_bytes(self) -> int:
        """Bytes that inference on one image needs: weights plus peak activations."""
        return self.weight_bytes + self.peak_activation_bytes

    def metrics(self) -> dict[str, int]:
        """Return every metric by name."""
        return {name: getattr(self, name) for name in COST_METRICS}


COST_METRICS = ("macs", "params", "peak_activation_bytes", "weight_bytes", "memory_bytes")


def total(costs: Iterable[Cost]) -> Cost:
    """Return the sum of costs."""
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
    """Return the cost of the stem's convolution and BatchNorm; its peak also covers the max-pooling."""
    size = output_size(resolution, stem.stride)
    weights = INPUT_CHANNELS * stem.channels * stem.kernel**2
    image, maps = INPUT_CHANNELS * resolution**2, stem.channels * size**2
    pooled = stem.channels * stem.out_size(resolution) ** 2 if stem.pool != "none" else 0
    return Cost(weights * size**2, weights + 2 * stem.channels, FLOAT_BYTES * (maps + max(image, pooled)))


@lru_cache(maxsize=2**18)
def stage_cost(stage: Stage, in_channels: int, size: int) -> Cost:
    """Return the cost of all layers of a stage with an input of ``in_channels`` maps of side ``size``."""
    layers = realise(stage, in_channels, size)
    first = _layer_cost(layers[0])
    if len(layers) == 1:
        return first
    other, times = _layer_cost(layers[1]), len(layers) - 1
    return first + Cost(times * other.macs, times * other.params, other.peak_activation_bytes)


def _layer_cost(layer: Layer) -> Cost:
    """Return the cost of one layer: its steps, its projection, and the memory that its shortcut holds."""
    steps: tuple[Step, ...] = layer.steps if layer.projection is None else (*layer.steps, layer.projection)
    macs, params = (sum(column) for column in zip(*map(_macs_and_params, steps), strict=True))
    return Cost(macs, params, FLOAT_BYTES * _peak_values(layer))


def head_cost(head: Head, in_channels: int, size: int, classes: int) -> Cost:
    """Return the cost of the 1x1 convolution with its BatchNorm, of the hidden layer and of the classifier."""
    features, cost = in_channels, Cost(0, 0)
    maps = in_channels * size**2
    if head.channels:
        step = Convolution(in_channels, head.channels, 1, 1, 1, head.activation, size, size)
        cost, features = Cost(*_macs_and_params(step), FLOAT_BYTES * _values(step)), head.channels
        maps = features * size**2
    cost += Cost(0, 0, FLOAT_BYTES * (maps + features))  # the pooling
    for outputs in (head.hidden, classes) if head.hidden else (classes,):
        weights = features * outputs
        cost += Cost(weights, weights + outputs, FLOAT_BYTES * (features + outputs))
        features = outputs
    return cost


def _macs_and_params(step: Step) -> tuple[int, int]:
    if isinstance(step, Convolution):
        weights = step.in_channels // step.groups * step.out_channels * step.kernel**2
        return weights * step.out_size**2, weights + 2 * step.out_channels
    weights = 2 * step.channels * step.squeeze
    return weights, weights + step.squeeze + step.channels


def _values(step: Step) -> int:
    """Return the number of values held while a step runs, its input and output included."""
    if isinstance(step, Convolution):
        return step.in_channels * step.in_size**2 + step.out_channels * step.out_size**2
    return step.channels * step.size**2 + step.channels + step.squeeze


def _peak_values(layer: Layer) -> int:
    """Return the peak number of values held in a layer; a shortcut holds the layer's input until the addition."""
    entered, left = layer.in_channels * layer.in_size**2, layer.out_channels * layer.out_size**2
    held = entered if layer.shortcut != "none" else 0
    peak = max(_values(step) + (held if index else 0) for index, step in enumerate(layer.steps))
    if layer.shortcut in ("pooling", "projection"):
        peak = max(peak, entered + 2 * left)
    return max(peak, left + held)
