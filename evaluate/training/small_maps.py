"""Convolutions that compute the same faster where the map is smaller than the kernel, as proxies' maps mostly are.

At 32 px a network with ImageNet's strides spends most layers on maps of 4x4, 2x2 and 1x1 pixels. There most taps of a
kernel only ever meet the padding, and a pointwise convolution is a matrix product without the reordering that the
convolution library does around it. Both are exact: what is left out would have multiplied zeros.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

LINEAR_UP_TO = 2  # side of a map; beyond, the library's own pointwise convolution is as fast


class SmallMapConv2d(nn.Conv2d):
    """A ``Conv2d`` that looks at the size of its input; parameters, names and results are those of ``Conv2d``."""

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        side = max(input.shape[2:])
        result: Tensor
        if self.kernel_size == (1, 1) and self.groups == 1 and self.stride == (1, 1) and self.padding == (0, 0):
            if side > LINEAR_UP_TO:
                return self._as_usual(input, weight, bias)
            result = functional.linear(input.permute(0, 2, 3, 1), weight[:, :, 0, 0], bias).permute(0, 3, 1, 2)
            return result
        kernel, padding = self.kernel_size[0], int(self.padding[0])
        radius = min(padding, side - 1)  # taps further from the centre meet only padding
        if radius == padding or self.kernel_size != (2 * padding + 1, 2 * padding + 1):
            return self._as_usual(input, weight, bias)
        reached = slice(padding - radius, kernel - padding + radius)
        weight = weight[:, :, reached, reached]
        if radius == 0 and self.groups == self.in_channels == self.out_channels:
            scaled = input * weight.reshape(1, -1, 1, 1)
            return scaled if bias is None else scaled + bias.reshape(1, -1, 1, 1)
        result = functional.conv2d(input, weight, bias, self.stride, radius, self.dilation, self.groups)
        return result

    def _as_usual(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        result: Tensor = super()._conv_forward(input, weight, bias)
        return result


def use_small_maps(module: nn.Module) -> None:
    """Let every plain ``Conv2d`` inside ``module`` compute that way; a subclass of somebody else's is left alone."""
    for part in module.modules():
        if type(part) is nn.Conv2d and part.padding_mode == "zeros" and part.dilation == (1, 1) and _symmetric(part):
            part.__class__ = SmallMapConv2d


def _symmetric(part: nn.Conv2d) -> bool:
    return not isinstance(part.padding, str) and part.padding[0] == part.padding[1]
