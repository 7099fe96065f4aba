"""The parts of a stage table: stem, stages and head, as plain data (MnasNet, arXiv 1807.11626, section 4.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal


def output_size(size: int, stride: int) -> int:
    """Return the side of the map after a convolution with padding ``kernel // 2``: ``ceil(size / stride)``."""
    return -(-size // stride)


STRICT: dict[str, Any] = {"extra": "forbid", "strict": True}  # how pydantic reads the YAML form
Activation = Literal["swish", "relu", "relu6", "hard_swish"]
Gate = Literal["sigmoid", "hard_sigmoid"]
Operation = Literal["mbconv", "dsconv", "conv", "basic", "bottleneck"]
Skip = Literal["identity", "none", "pooling", "projection"]
DEFAULT_ACTIVATION: Activation = "swish"
# Operations with an expand ratio, and its default.
EXPAND: dict[str, float] = {"mbconv": 6, "basic": 1, "bottleneck": 0.25}


@dataclass(frozen=True, slots=True)
class Stem:
    """The first convolution: conv-BN-activation on the image; ``pool: max`` adds 3x3 max-pooling of stride 2."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT
    channels: int
    op: Literal["conv"] = "conv"
    kernel: int = 3
    stride: int = 2
    pool: Literal["none", "max"] = "none"
    activation: Activation = DEFAULT_ACTIVATION

    def out_size(self, size: int) -> int:
        """Return the side of the stem's output map for images of side ``size``."""
        size = output_size(size, self.stride)
        return output_size(size, 2) if self.pool == "max" else size


@dataclass(frozen=True, slots=True)
class Stage:
    """A row of the table: ``layers`` equal layers, of which only the first applies the stride and changes the channels.

    Attributes:
        channels: output channels.
        op: ``mbconv``, the mobile inverted bottleneck (MobileNetV2); ``dsconv``, depthwise-separable convolution,
            activated after both halves (MobileNetV1); ``conv``, a regular convolution; ``basic`` and ``bottleneck``,
            the residual blocks of ResNet (v1.5: the stride is in the kernel's convolution).
        kernel: side of the kernel, odd.
        stride: stride of the first layer, 1 or 2.
        expand: inner width of ``mbconv`` relative to the layer's input channels (1 leaves the expansion out), of
            ``basic`` and ``bottleneck`` relative to the output channels; the defaults are 6, 1 and 0.25.
        layers: number of layers.
        se: squeeze width of squeeze-and-excitation; 0 for none.
        se_base: the channels that ``se`` is relative to: ``input``, the layer's input channels (MnasNet, EfficientNet),
            or ``gated``, the channels that are gated, with the width rounded to a multiple of 8 (MobileNetV3).
        se_activation: activation inside the SE (default: the stage's activation).
        se_gate: function that turns the SE's outputs into gates.
        skip: ``identity`` (where stride is 1 and the channels agree), ``none``, ``pooling`` (3x3 average pooling with
            the layer's stride, where the channels agree) or ``projection`` (identity where it is possible, else a
            strided 1x1 convolution, as in ResNet).
        activation: activation after every convolution except linear projections, and inside the SE.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT
    SHORTHANDS: ClassVar[tuple[str, ...]] = ("width", "extra_layers")  # additional keys of its YAML form
    channels: int
    op: Operation = "mbconv"
    kernel: int = 3
    stride: int = 1
    expand: int | float | None = None
    layers: int = 1
    se: float = 0.0
    se_base: Literal["input", "gated"] = "input"
    se_activation: Activation | None = None
    se_gate: Gate = "sigmoid"
    skip: Skip = "identity"
    activation: Activation = DEFAULT_ACTIVATION

    @property
    def expand_ratio(self) -> float:
        """The expand ratio with its default resolved; 1 for operations without an expand ratio."""
        return EXPAND.get(self.op, 1) if self.expand is None or self.op not in EXPAND else self.expand


@dataclass(frozen=True, slots=True)
class Head:
    """1x1 conv-BN-activation, global average pooling, a hidden linear layer, dropout, linear classifier.

    Attributes:
        channels: outputs of the convolution; 0 for none.
        activation: activation after the convolution and the hidden layer.
        dropout: dropout rate before the classifier.
        hidden: features of the hidden layer (MobileNetV3); 0 for none.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT
    channels: int
    activation: Activation = DEFAULT_ACTIVATION
    dropout: float = 0.2
    hidden: int = 0

    def identity(self) -> tuple[object, ...]:
        """Return a key of the built head; the activation counts only with a convolution or a hidden layer."""
        return self.channels, self.hidden, self.dropout, self.activation if self.channels or self.hidden else None
