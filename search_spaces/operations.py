"""The operations of a stage: the plain steps of each layer, from which both its cost and its module are derived.

A layer is a sequence of convolutions, optionally with a squeeze-and-excitation, and a shortcut around them. A new
operation needs its name in ``Operation`` (``parts.py``), a function here that returns its steps, and an entry in
``_OPERATIONS``. Its cost and its module follow from its steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from nas.search_spaces.parts import output_size
from nas.search_spaces.rounding import expanded_channels, round_channels

if TYPE_CHECKING:
    from nas.search_spaces.parts import Activation, Gate, Stage

INPUT_CHANNELS = 3


@dataclass(frozen=True, slots=True)
class Convolution:
    """Convolution without bias, BatchNorm, and an activation unless it is ``None``; sizes are sides in pixels."""

    in_channels: int
    out_channels: int
    kernel: int
    stride: int
    groups: int
    activation: Activation | None
    in_size: int
    out_size: int


@dataclass(frozen=True, slots=True)
class Excitation:
    """Squeeze-and-excitation on ``channels`` maps of side ``size``, with ``squeeze`` hidden channels."""

    channels: int
    squeeze: int
    activation: Activation
    gate: Gate
    size: int


Step = Convolution | Excitation
Shortcut = Literal["none", "identity", "pooling", "projection"]
_Where = Literal["before", "across", "after"]


@dataclass(frozen=True, slots=True)
class Layer:
    """One realised layer of a stage. Layers that are built in the same way compare equal.

    Attributes:
        steps: the steps that the maps pass through, in order.
        shortcut: kind of shortcut that is added to the result; ``none`` if the skip cannot apply.
        activation: activation after the addition (ResNet), or ``None``.
        stride: stride of the whole layer.
        in_channels: number of input maps.
        out_channels: number of output maps.
        in_size: side of the input maps, in pixels.
        out_size: side of the output maps, in pixels.
    """

    steps: tuple[Step, ...]
    shortcut: Shortcut
    activation: Activation | None
    stride: int
    in_channels: int
    out_channels: int
    in_size: int
    out_size: int

    @property
    def projection(self) -> Convolution | None:
        """The convolution of a projection shortcut; ``None`` for other shortcuts."""
        if self.shortcut != "projection":
            return None
        sizes = self.in_size, self.out_size
        return Convolution(self.in_channels, self.out_channels, 1, self.stride, 1, None, *sizes)


@lru_cache(maxsize=2**16)
def realise(stage: Stage, in_channels: int, size: int) -> tuple[Layer, ...]:
    """Return the layers of a stage for ``in_channels`` input maps of side ``size``."""
    first = _layer(stage, in_channels, size, stage.stride)
    if stage.layers == 1:
        return (first,)
    return (first, *(_layer(stage, stage.channels, first.out_size, 1),) * (stage.layers - 1))


def _layer(stage: Stage, in_channels: int, size: int, stride: int) -> Layer:
    steps, activation = _OPERATIONS[stage.op](_Place(stage, in_channels, size, stride))
    out_size = output_size(size, stride)
    shortcut = _shortcut(stage, in_channels, stride)
    return Layer(tuple(steps), shortcut, activation, stride, in_channels, stage.channels, size, out_size)


def _shortcut(stage: Stage, in_channels: int, stride: int) -> Shortcut:
    same_channels = in_channels == stage.channels
    if stage.skip == "pooling":
        return "pooling" if same_channels else "none"
    if stage.skip == "none" or (same_channels and stride == 1):
        return stage.skip if stage.skip == "none" else "identity"
    return "projection" if stage.skip == "projection" else "none"


@dataclass(frozen=True, slots=True)
class _Place:
    """A layer's stage and input, with the methods that make its steps."""

    stage: Stage
    in_channels: int
    size: int
    stride: int

    def dense(
        self, channels: tuple[int, int], kernel: int, activation: Activation | None, where: _Where
    ) -> Convolution:
        """Return a regular convolution that comes before the strided step, is itself strided, or comes after it."""
        before, after = self.size, output_size(self.size, self.stride)
        in_size, out_size = {"before": (before, before), "across": (before, after), "after": (after, after)}[where]
        stride = self.stride if where == "across" else 1
        return Convolution(*channels, kernel, stride, 1, activation, in_size, out_size)

    def depthwise(self, channels: int) -> Convolution:
        """Return the strided depthwise convolution."""
        sizes = self.size, output_size(self.size, self.stride)
        stage = self.stage
        return Convolution(channels, channels, stage.kernel, self.stride, channels, stage.activation, *sizes)

    def excitation(self, channels: int) -> Iterator[Excitation]:
        """Yield the squeeze-and-excitation on ``channels`` maps after the stride, if the stage has one."""
        stage = self.stage
        if not stage.se:
            return
        relative = stage.se_base == "input"
        squeeze = max(1, int(self.in_channels * stage.se)) if relative else round_channels(channels, stage.se)
        inner = stage.se_activation or stage.activation
        yield Excitation(channels, squeeze, inner, stage.se_gate, output_size(self.size, self.stride))


_Steps = tuple[list[Step], "Activation | None"]


def _mbconv(place: _Place) -> _Steps:
    """Expand 1x1 (unless the ratio is 1), depthwise, SE, project 1x1 without activation (EfficientNet, MnasNet)."""
    act, width = place.stage.activation, place.in_channels
    inner = expanded_channels(width, place.stage.expand_ratio)
    steps: list[Step] = [place.dense((width, inner), 1, act, "before")] if inner != width else []
    steps += [place.depthwise(inner), *place.excitation(inner)]
    return [*steps, place.dense((inner, place.stage.channels), 1, None, "after")], None


def _dsconv(place: _Place) -> _Steps:
    """Depthwise, SE, pointwise, each activated (MobileNetV1, arXiv 1704.04861, Figure 3)."""
    width, channels = place.in_channels, place.stage.channels
    pointwise = place.dense((width, channels), 1, place.stage.activation, "after")
    return [place.depthwise(width), *place.excitation(width), pointwise], None


def _conv(place: _Place) -> _Steps:
    """A regular convolution, then SE."""
    stage = place.stage
    convolution = place.dense((place.in_channels, stage.channels), stage.kernel, stage.activation, "across")
    return [convolution, *place.excitation(stage.channels)], None


def _basic(place: _Place) -> _Steps:
    """Two regular convolutions, SE; activated after the addition (ResNet, arXiv 1512.03385, Figure 5 left)."""
    stage = place.stage
    inner = expanded_channels(stage.channels, stage.expand_ratio)
    first = place.dense((place.in_channels, inner), stage.kernel, stage.activation, "across")
    second = place.dense((inner, stage.channels), stage.kernel, None, "after")
    return [first, second, *place.excitation(stage.channels)], stage.activation


def _bottleneck(place: _Place) -> _Steps:
    """1x1, strided kernel, 1x1, SE; activated after the addition (ResNet v1.5, Figure 5 right)."""
    stage = place.stage
    inner = expanded_channels(stage.channels, stage.expand_ratio)
    reduce = place.dense((place.in_channels, inner), 1, stage.activation, "before")
    middle = place.dense((inner, inner), stage.kernel, stage.activation, "across")
    restore = place.dense((inner, stage.channels), 1, None, "after")
    return [reduce, middle, restore, *place.excitation(stage.channels)], stage.activation


_OPERATIONS: dict[str, Callable[[_Place], _Steps]] = {
    "mbconv": _mbconv,
    "dsconv": _dsconv,
    "conv": _conv,
    "basic": _basic,
    "bottleneck": _bottleneck,
}
