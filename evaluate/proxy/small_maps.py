"""Convolutions that compute the same result faster on maps smaller than the kernel, which are common in proxies.

At 32 px, most layers of a network with ImageNet's strides work on maps of 4x4, 2x2 and 1x1 pixels. On these maps, most
taps of a kernel only multiply padding and are left out, and a pointwise convolution is computed as a matrix product,
without the reordering that the convolution library does around it. Both are exact, because the taps that are left out
would multiply zeros.

The library's gradient of a depthwise kernel is fast for 3x3 taps on maps that are not tiny, and up to ten times slower
for others. So the gradients of larger kernels are assembled from 3x3 windows of taps, which is exact too.

A strided pointwise convolution, as in the shortcuts of residual blocks, is computed as a plain one on the pixels that
it sees: with 8 channels, several threads and an odd number of images, the gradient of oneDNN 3.12 (torch 2.14) writes
outside its memory and ends the process.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

_WINDOWS_UP_TO = 8  # side of a map; on larger maps, windows do not make gradients of strided kernels faster
_LINEAR_UP_TO = 2  # side of a map; on larger maps, the library's own pointwise convolution is as fast


class SmallMapConv2d(nn.Conv2d):
    """A ``Conv2d`` that chooses its algorithm by input size; parameters, names and results are those of ``Conv2d``."""

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        side = max(input.shape[2:])
        result: Tensor
        if self.kernel_size == (1, 1) and self.groups == 1 and self.stride != (1, 1) and self.padding == (0, 0):
            rows, columns = self.stride
            seen = input[:, :, ::rows, ::columns].contiguous(memory_format=torch.channels_last)
            result = functional.conv2d(seen, weight, bias)
            return result
        if self.kernel_size == (1, 1) and self.groups == 1 and self.stride == (1, 1) and self.padding == (0, 0):
            if side > _LINEAR_UP_TO:
                return self._as_usual(input, weight, bias)
            result = functional.linear(input.permute(0, 2, 3, 1), weight[:, :, 0, 0], bias).permute(0, 3, 1, 2)
            return result
        kernel, padding = self.kernel_size[0], int(self.padding[0])
        radius = min(padding, side - 1)  # taps further from the centre meet only padding
        if self.kernel_size != (2 * padding + 1, 2 * padding + 1):
            return self._as_usual(input, weight, bias)
        if radius == padding:
            gains = (kernel >= 5 and (self.stride[0] == 1 or side <= _WINDOWS_UP_TO)) or (kernel == 3 and side <= 2)
            if gains and self._is_depthwise(bias):
                return _depthwise(input, weight, self.stride[0], padding)
            return self._as_usual(input, weight, bias)
        reached = slice(padding - radius, kernel - padding + radius)
        weight = weight[:, :, reached, reached]
        if radius == 0 and self.groups == self.in_channels == self.out_channels:
            scaled = input * weight.reshape(1, -1, 1, 1)
            return scaled if bias is None else scaled + bias.reshape(1, -1, 1, 1)
        if radius < padding and self._is_depthwise(bias):
            return _depthwise(input, weight, self.stride[0], radius)
        result = functional.conv2d(input, weight, bias, self.stride, radius, self.dilation, self.groups)
        return result

    def _is_depthwise(self, bias: Tensor | None) -> bool:
        alone = self.groups == self.in_channels == self.out_channels and self.stride[0] == self.stride[1]
        return alone and bias is None and torch.is_grad_enabled() and not torch.is_autocast_enabled("cpu")

    def _as_usual(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        result: Tensor = super()._conv_forward(input, weight, bias)
        return result


def use_small_maps(module: nn.Module) -> None:
    """Turn every plain ``Conv2d`` inside ``module`` into a ``SmallMapConv2d``; other subclasses are not changed."""
    for part in module.modules():
        if type(part) is nn.Conv2d and part.padding_mode == "zeros" and part.dilation == (1, 1) and _symmetric(part):
            part.__class__ = SmallMapConv2d


def _symmetric(part: nn.Conv2d) -> bool:
    return not isinstance(part.padding, str) and part.padding[0] == part.padding[1]


def _depthwise(input: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
    result: Tensor = _Depthwise.apply(input, weight, stride, padding)
    return result


class _Depthwise(torch.autograd.Function):
    """A depthwise convolution whose weight's gradient comes from windows of 3x3 taps."""

    @staticmethod
    def forward(ctx: Any, input: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
        ctx.save_for_backward(input, weight)
        ctx.stride, ctx.padding = stride, padding
        return functional.conv2d(input, weight, None, stride, padding, 1, len(weight))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        input, weight = ctx.saved_tensors
        gradient = gradients[0].contiguous(memory_format=torch.channels_last)
        to_input = to_weight = None
        if ctx.needs_input_grad[0]:
            to_input = _backward(gradient, input, weight, ctx.stride, ctx.padding, to_weight=False)
        if ctx.needs_input_grad[1]:
            to_weight = _weight_gradient(gradient, input, weight, ctx.stride, ctx.padding)
        return to_input, to_weight, None, None


def _weight_gradient(gradient: Tensor, input: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
    """Assemble a kernel's gradient from 3x3 windows of its taps, which overlap in one row or column."""
    kernel = 2 * padding + 1
    height, width = ((side - 1) * stride + 3 for side in gradient.shape[2:])
    border = (0, 0, padding, padding + 2, padding, padding + 2)
    padded = functional.pad(input.permute(0, 2, 3, 1), border).permute(0, 3, 1, 2)
    result, window = torch.zeros_like(weight), weight[:, :, :3, :3]
    for top in range(0, kernel - 2, 2):
        for left in range(0, kernel - 2, 2):
            part = padded[:, :, top : top + height, left : left + width].contiguous(memory_format=torch.channels_last)
            taps = _backward(gradient, part, window, stride, 0, to_weight=True)
            result[:, :, top : top + 3, left : left + 3] = taps
    return result


def _backward(gradient: Tensor, input: Tensor, weight: Tensor, stride: int, padding: int, *, to_weight: bool) -> Tensor:
    """Return a depthwise convolution's gradient of its weight or its input."""
    found: list[Tensor] = torch.ops.aten.convolution_backward(
        gradient,
        input,
        weight,
        None,
        [stride, stride],
        [padding, padding],
        [1, 1],
        False,
        [0, 0],
        len(weight),
        [not to_weight, to_weight, False],
    )
    return found[1] if to_weight else found[0]
