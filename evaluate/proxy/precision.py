"""Numerical precision of a training: float32, or bfloat16 and float16 if a GPU is faster with them."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Literal, Protocol

import torch
from torch import nn

_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class PrecisionSettings(Protocol):
    """The training settings that decide the precision."""

    @property
    def precision(self) -> Literal["auto", "fp32", "bf16", "fp16"]:
        """Name of the precision in the configuration."""
        ...


def choose_precision(settings: PrecisionSettings, device: torch.device) -> torch.dtype | None:
    """Return the autocast type, ``None`` for float32.

    ``auto`` is bfloat16 on GPUs that have it, float16 on others, and float32 on a CPU, where bfloat16 is slower.
    """
    if settings.precision in _TYPES:
        return _TYPES[settings.precision]
    if settings.precision == "fp32" or device.type != "cuda":
        return None
    return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16


def autocast(device: torch.device, precision: torch.dtype | None) -> AbstractContextManager[object]:
    """Return a context that computes in ``precision``, with float32 weights."""
    if precision is None:
        return nullcontext()
    return torch.autocast(device.type, precision, cache_enabled=False)  # a cache would outlive a captured graph


def allow_tf32() -> None:
    """Let float32 products on a GPU use TensorFloat-32."""
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cudnn.allow_tf32 = True


def indexed_device(name: str) -> torch.device:
    """Return a device with its index, which parts of torch require; ``cuda`` is the current device."""
    return torch.device(name, torch.cuda.current_device()) if name == "cuda" else torch.device(name)


def load_kernels(device: torch.device) -> None:
    """Run one step of a small network, so that a trial's time and memory do not include the loading of libraries."""
    layers = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2)
    )
    images = torch.zeros(2, 3, 8, 8).contiguous(memory_format=torch.channels_last)
    module = layers.to(device).to(memory_format=torch.channels_last)
    module(images.to(device)).sum().backward()
