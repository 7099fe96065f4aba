"""The torch modules a stage table becomes, and how they are initialised.

Layer order, squeeze width, drop-connect and initialisation follow EfficientNet's public reference code; padding is
PyTorch's symmetric ``kernel // 2``, which gives the same map sizes as TensorFlow's SAME.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from nas.search_spaces.network import Activation, Layer

BATCH_NORM_EPSILON = 1e-3
BATCH_NORM_MOMENTUM = 0.01  # TensorFlow's 0.99

_ACTIVATIONS: dict[Activation, type[nn.Module]] = {
    "swish": nn.SiLU,
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "hard_swish": nn.Hardswish,
}


def activation(name: Activation) -> nn.Module:
    """Return the activation as an in-place module."""
    return _ACTIVATIONS[name](inplace=True)


class ConvNormAct(nn.Sequential):
    """Convolution without bias, BatchNorm, and an activation unless ``act`` is ``None``.

    Maps ``(batch, in_channels, h, w)`` to ``(batch, out_channels, ceil(h / stride), ceil(w / stride))``.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, stride: int, groups: int, act: Activation | None
    ) -> None:
        layers: list[nn.Module] = [
            nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=False),
            nn.BatchNorm2d(out_channels, eps=BATCH_NORM_EPSILON, momentum=BATCH_NORM_MOMENTUM),
        ]
        super().__init__(*layers, *([activation(act)] if act else []))


class SqueezeExcitation(nn.Module):
    """Channel gates from the pooled map (Hu et al. 2018): pool, reduce, activation, expand, sigmoid, multiply."""

    def __init__(self, channels: int, squeeze: int, act: Activation) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, squeeze, 1)
        self.activation = activation(act)
        self.expand = nn.Conv2d(squeeze, channels, 1)

    def forward(self, maps: Tensor) -> Tensor:
        """Gate ``(batch, channels, h, w)``."""
        gates: Tensor = self.expand(self.activation(self.reduce(maps.mean((2, 3), keepdim=True))))
        return maps * torch.sigmoid(gates)


class MBConv(nn.Module):
    """Mobile inverted bottleneck: expand, depthwise, squeeze-and-excitation, project, identity with drop-connect.

    Args:
        layer: the realised block of the stage table.
        drop_rate: probability of dropping the block for a sample while training (stochastic depth).
    """

    def __init__(self, layer: Layer, drop_rate: float) -> None:
        super().__init__()
        inner, act = layer.expanded_channels, layer.activation
        blocks: list[nn.Module] = []
        if inner != layer.in_channels:
            blocks.append(ConvNormAct(layer.in_channels, inner, 1, 1, 1, act))
        blocks.append(ConvNormAct(inner, inner, layer.kernel, layer.stride, inner, act))
        if layer.se_channels:
            blocks.append(SqueezeExcitation(inner, layer.se_channels, act))
        blocks.append(ConvNormAct(inner, layer.out_channels, 1, 1, 1, None))
        self.blocks = nn.Sequential(*blocks)
        self.residual = layer.residual
        self.drop_rate = drop_rate

    def forward(self, maps: Tensor) -> Tensor:
        """Map ``(batch, in_channels, h, w)`` to ``(batch, out_channels, ceil(h / stride), ceil(w / stride))``."""
        result: Tensor = self.blocks(maps)
        if not self.residual:
            return result
        if self.training and self.drop_rate > 0:
            result = drop_connect(result, self.drop_rate)
        return result + maps


def drop_connect(maps: Tensor, rate: float) -> Tensor:
    """Zero whole samples of ``(batch, ...)`` with probability ``rate`` and scale the others by ``1 / (1 - rate)``."""
    survival = 1.0 - rate
    kept = torch.empty(maps.shape[0], 1, 1, 1, device=maps.device, dtype=maps.dtype).bernoulli_(survival)
    return maps * (kept / survival)


def initialise(module: nn.Module) -> None:
    """Initialise as the reference code does.

    Convolutions N(0, 2 / (k * k * out)), where a depthwise one has one output a group; the classifier uniform within
    1 / sqrt(classes); biases 0; BatchNorm 1 and 0.
    """
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            fan_out = part.kernel_size[0] * part.kernel_size[1] * part.out_channels // part.groups
            nn.init.normal_(part.weight, 0.0, math.sqrt(2.0 / fan_out))
        elif isinstance(part, nn.Linear):
            bound = 1.0 / math.sqrt(part.out_features)
            nn.init.uniform_(part.weight, -bound, bound)
        if isinstance(part, (nn.Conv2d, nn.Linear)) and part.bias is not None:
            nn.init.zeros_(part.bias)
