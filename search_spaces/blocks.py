"""The torch modules that implement layers, and their initialisation.

Drop-connect and initialisation follow EfficientNet's public reference code; padding is PyTorch's symmetric
``kernel // 2``, which gives the same map sizes as TensorFlow's SAME.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nas.search_spaces.operations import Convolution, Excitation, Layer, Step
from nas.search_spaces.parts import Activation, Gate

_ACTIVATIONS: dict[Activation, type[nn.Module]] = {
    "swish": nn.SiLU,
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "hard_swish": nn.Hardswish,
}
_GATES: dict[Gate, type[nn.Module]] = {"sigmoid": nn.Sigmoid, "hard_sigmoid": nn.Hardsigmoid}


@dataclass(frozen=True, slots=True)
class Norm:
    """Settings of every BatchNorm of a network."""

    epsilon: float = 1e-3
    momentum: float = 0.01

    def __call__(self, channels: int) -> nn.BatchNorm2d:
        """Return a BatchNorm for ``channels`` maps."""
        return nn.BatchNorm2d(channels, eps=self.epsilon, momentum=self.momentum)


def activation(name: Activation) -> nn.Module:
    """Return the activation as an in-place module."""
    return _ACTIVATIONS[name](inplace=True)


class ConvNormAct(nn.Sequential):
    """Convolution without bias, BatchNorm, and an activation unless it is ``None``.

    Maps ``(batch, in_channels, h, w)`` to ``(batch, out_channels, ceil(h / stride), ceil(w / stride))``.
    """

    def __init__(self, step: Convolution, norm: Norm) -> None:
        padding = step.kernel // 2
        sizes = step.in_channels, step.out_channels, step.kernel, step.stride, padding
        layers: list[nn.Module] = [nn.Conv2d(*sizes, groups=step.groups, bias=False), norm(step.out_channels)]
        super().__init__(*layers, *([activation(step.activation)] if step.activation else []))


class SqueezeExcitation(nn.Module):
    """Channel gates from the pooled map (Hu et al. 2018): pool, reduce, activation, expand, gate, multiply."""

    def __init__(self, step: Excitation) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(step.channels, step.squeeze, 1)
        self.activation = activation(step.activation)
        self.expand = nn.Conv2d(step.squeeze, step.channels, 1)
        self.gate = _GATES[step.gate]()

    def forward(self, maps: Tensor) -> Tensor:
        """Multiply maps ``(batch, channels, h, w)`` by their channel gates."""
        gates: Tensor = self.gate(self.expand(self.activation(self.reduce(maps.mean((2, 3), keepdim=True)))))
        return maps * gates


class Block(nn.Module):
    """One layer: its steps plus its shortcut, with drop-connect on the steps.

    Args:
        layer: the realised layer of the stage table.
        drop_rate: probability of dropping the steps for a sample while training (stochastic depth).
        norm: BatchNorm settings of every convolution.
    """

    def __init__(self, layer: Layer, drop_rate: float, norm: Norm) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(_module(step, norm) for step in layer.steps))
        self.shortcut = _shortcut(layer, norm)
        self.activation = activation(layer.activation) if layer.activation else nn.Identity()
        self.drop_rate = drop_rate

    def forward(self, maps: Tensor) -> Tensor:
        """Map ``(batch, in_channels, h, w)`` to ``(batch, out_channels, ceil(h / stride), ceil(w / stride))``."""
        result: Tensor = self.blocks(maps)
        if self.shortcut is not None:
            if self.training and self.drop_rate > 0:
                result = drop_connect(result, self.drop_rate)
            result = result + self.shortcut(maps)
        activated: Tensor = self.activation(result)
        return activated


def _module(step: Step, norm: Norm) -> nn.Module:
    return ConvNormAct(step, norm) if isinstance(step, Convolution) else SqueezeExcitation(step)


def _shortcut(layer: Layer, norm: Norm) -> nn.Module | None:
    if layer.shortcut == "identity":
        return nn.Identity()
    if layer.shortcut == "pooling":
        return nn.AvgPool2d(3, layer.stride, 1, count_include_pad=False)
    return ConvNormAct(layer.projection, norm) if layer.projection else None


def drop_connect(maps: Tensor, rate: float) -> Tensor:
    """Zero whole samples of ``(batch, ...)`` with probability ``rate`` and scale the others by ``1 / (1 - rate)``."""
    survival = 1.0 - rate
    kept = torch.empty(maps.shape[0], 1, 1, 1, device=maps.device, dtype=maps.dtype).bernoulli_(survival)
    return maps * (kept / survival)


def initialise(module: nn.Module) -> None:
    """Initialise as the reference code does.

    Weights of convolutions follow N(0, 2 / (k * k * out)), where ``out`` is the number of output channels per group
    (1 for depthwise). Weights of linear layers are uniform within 1 / sqrt(outputs), which is 1 / sqrt(classes) for the
    classifier. Biases are 0; BatchNorm scales are 1 and shifts 0. Modules on the meta device are left unchanged.
    """
    if any(parameter.is_meta for parameter in module.parameters()):
        return
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            fan_out = part.kernel_size[0] * part.kernel_size[1] * part.out_channels // part.groups
            nn.init.normal_(part.weight, 0.0, math.sqrt(2.0 / fan_out))
        elif isinstance(part, nn.Linear):
            bound = 1.0 / math.sqrt(part.out_features)
            nn.init.uniform_(part.weight, -bound, bound)
        if isinstance(part, (nn.Conv2d, nn.Linear)) and part.bias is not None:
            nn.init.zeros_(part.bias)
