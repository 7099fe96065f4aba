"""The stage table: a network as plain data that a person can read, edit and count.

A table is a stem convolution, stages of identical layers, and a head (MnasNet, arXiv 1807.11626, section 4.1:
only the first layer of a stage strides or widens; EfficientNet, arXiv 1905.11946, Table 1).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, ClassVar, Literal

from nas.search_spaces.errors import InputError

INPUT_CHANNELS = 3
_STRICT: dict[str, Any] = {"extra": "forbid", "strict": True}  # how pydantic reads the YAML form
Activation = Literal["swish", "relu", "relu6", "hard_swish"]
Skip = Literal["identity", "none"]


@dataclass(frozen=True, slots=True)
class Stem:
    """The first convolution: conv-BN-activation on the image."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT
    channels: int
    op: Literal["conv"] = "conv"
    kernel: int = 3
    stride: int = 2
    activation: Activation = "swish"


@dataclass(frozen=True, slots=True)
class Stage:
    """A row of the table: ``layers`` identical layers, of which only the first strides and widens.

    Attributes:
        channels: output channels.
        op: ``mbconv``, the mobile inverted bottleneck with squeeze-and-excitation.
        kernel: side of the depthwise kernel, odd.
        stride: stride of the first layer, 1 or 2.
        expand: expand ratio; 1 leaves the expansion convolution out.
        layers: how many layers.
        se: squeeze width relative to the block's *input* channels; 0 for none.
        skip: ``identity`` (where stride is 1 and the channels agree) or ``none``.
        activation: after every convolution but the projection, and inside the SE.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT
    channels: int
    op: Literal["mbconv"] = "mbconv"
    kernel: int = 3
    stride: int = 1
    expand: int = 6
    layers: int = 1
    se: float = 0.0
    skip: Skip = "identity"
    activation: Activation = "swish"


@dataclass(frozen=True, slots=True)
class Head:
    """1x1 conv-BN-activation, global average pooling, dropout, linear classifier."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT
    channels: int
    activation: Activation = "swish"
    dropout: float = 0.2


@dataclass(frozen=True, slots=True)
class Layer:
    """One realised block of a stage; sizes are the side of the square feature map in pixels."""

    kernel: int
    stride: int
    in_channels: int
    expanded_channels: int
    se_channels: int
    out_channels: int
    residual: bool
    activation: Activation
    in_size: int
    out_size: int


@dataclass(frozen=True, slots=True)
class Network:
    """A whole stage table. Impossible tables are refused on construction.

    Attributes:
        resolution: deployment resolution in pixels; MACs are counted there.
        classes: outputs of the classifier.
        stem: the first convolution.
        stages: the rows of the table.
        head: what follows the stages.
        name: what people call it.
        drop_connect: rate at the end of the linear stochastic-depth ramp (training only).

    Raises:
        InputError: naming the entry that makes the table impossible.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT
    resolution: int
    classes: int
    stem: Stem
    stages: tuple[Stage, ...]
    head: Head
    name: str = "network"
    drop_connect: float = field(default=0.2, kw_only=True)

    def __post_init__(self) -> None:
        _at_least_one("resolution", self.resolution)
        _at_least_one("classes", self.classes)
        _rate("drop_connect", self.drop_connect)
        _rate("head.dropout", self.head.dropout)
        _at_least_one("head.channels", self.head.channels)
        if not self.stages:
            raise InputError("stages: expected at least one stage, got none")
        size = self.resolution
        parts: list[Stem | Stage] = [self.stem, *self.stages]
        for place, part in enumerate(parts):
            _check_part(f"stages[{place - 1}]" if place else "stem", part, size)
            size = output_size(size, part.stride)

    def at(self, *, resolution: int | None = None, classes: int | None = None) -> Network:
        """Return this network at another resolution or with another number of classes, as proxies train it."""
        return replace(self, resolution=resolution or self.resolution, classes=classes or self.classes)

    @property
    def stem_size(self) -> int:
        """Side of the feature map behind the stem."""
        return output_size(self.resolution, self.stem.stride)

    def stage_layers(self) -> Iterator[tuple[Layer, ...]]:
        """Yield the realised layers of each stage."""
        channels, size = self.stem.channels, self.stem_size
        for stage in self.stages:
            layers = realise(stage, channels, size)
            yield layers
            channels, size = layers[-1].out_channels, layers[-1].out_size

    def signature(self) -> tuple[object, ...]:
        """Return what decides the built network: equal for genotypes that decode to the same one.

        A skip that can never apply, an SE ratio that rounds to the same width and the like make no difference.
        """
        return (self.resolution, self.classes, self.stem, tuple(self.stage_layers()), self.head, self.drop_connect)


def output_size(size: int, stride: int) -> int:
    """Side of the map behind a convolution with padding ``kernel // 2``: ``ceil(size / stride)``."""
    return -(-size // stride)


@lru_cache(maxsize=2**16)
def realise(stage: Stage, in_channels: int, size: int) -> tuple[Layer, ...]:
    """Return the layers a stage becomes on ``in_channels`` maps of side ``size``.

    Expanded width is ``in_channels * expand`` and squeeze width ``max(1, int(in_channels * se))``, neither rounded
    to a multiple of 8 (EfficientNet's public reference code).
    """
    layers = []
    for index in range(stage.layers):
        stride = stage.stride if index == 0 else 1
        out_size = output_size(size, stride)
        layers.append(
            Layer(
                kernel=stage.kernel,
                stride=stride,
                in_channels=in_channels,
                expanded_channels=in_channels * stage.expand,
                se_channels=max(1, int(in_channels * stage.se)) if stage.se else 0,
                out_channels=stage.channels,
                residual=stage.skip == "identity" and stride == 1 and in_channels == stage.channels,
                activation=stage.activation,
                in_size=size,
                out_size=out_size,
            )
        )
        in_channels, size = stage.channels, out_size
    return tuple(layers)


def _check_part(where: str, part: Stem | Stage, size: int) -> None:
    _at_least_one(f"{where}.channels", part.channels)
    _at_least_one(f"{where}.kernel", part.kernel)
    if part.kernel % 2 == 0:
        raise InputError(f"{where}.kernel: expected an odd number, got {part.kernel}")
    if part.stride not in (1, 2):
        raise InputError(f"{where}.stride: expected 1 or 2, got {part.stride!r}")
    if part.stride == 2 and size == 1:
        raise InputError(
            f"{where}.stride: expected 1, got 2 on a 1x1 map; use a higher resolution or fewer strides before it"
        )
    if isinstance(part, Stage):
        _at_least_one(f"{where}.expand", part.expand)
        _at_least_one(f"{where}.layers", part.layers)
        _rate(f"{where}.se", part.se, high=1.0)


def _at_least_one(where: str, value: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InputError(f"{where}: expected a whole number of at least 1, got {value!r}")


def _rate(where: str, value: float, high: float = 0.999) -> None:
    if not 0 <= value <= high:
        raise InputError(f"{where}: expected a number from 0 to {'1' if high == 1 else 'below 1'}, got {value!r}")
