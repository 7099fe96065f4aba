"""Which numbers a training computes with: float32, or bfloat16 and float16 where a GPU is faster with them."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Literal, Protocol

import torch

_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class PrecisionSettings(Protocol):
    """What of a training's settings decides the precision."""

    @property
    def precision(self) -> Literal["auto", "fp32", "bf16", "fp16"]:
        """As people name it."""
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
    """Compute in ``precision`` inside, with float32 weights."""
    if precision is None:
        return nullcontext()
    return torch.autocast(device.type, precision, cache_enabled=False)  # a cache would outlive a captured graph


def allow_tf32() -> None:
    """Let float32 products on a GPU use TensorFloat-32."""
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
