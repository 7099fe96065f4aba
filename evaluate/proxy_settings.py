"""How a proxy is trained, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from nas.search_spaces.errors import InputError


@dataclass(frozen=True, slots=True)
class ProxySettings:
    """A short training whose validation accuracy stands for the network's."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid", "allow_inf_nan": False}

    epochs: int = 3
    """Passes over the training images (the papers: 5 on ImageNet)."""
    batch_size: int = 64
    """Images a step."""
    optimizer: Literal["sgd", "adamw"] = "adamw"
    """``sgd`` has Nesterov momentum 0.9."""
    learning_rate: float = 0.004
    """At the top of the schedule: linear warm-up, then cosine to 0."""
    warmup: float = 0.1
    """Fraction of the steps that the learning rate rises."""
    weight_decay: float = 0.0001
    """On convolutions and the classifier."""
    label_smoothing: float = 0.1
    """Mass spread over all classes."""
    batch_norm_momentum: float = 0.2
    """In PyTorch's sense; replaces the network's own while the proxy trains."""
    crop_padding: int = 2
    """Largest random shift in pixels; 0 for none."""
    flip: bool | None = None
    """Mirror half of the images; unset: wherever the data allows it (not for digits)."""
    threads: int = 1
    """CPU threads of a worker process."""

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "threads"):
            if getattr(self, name) < 1:
                raise InputError(f"{name}: expected at least 1, got {getattr(self, name)}")
        for name in ("learning_rate",):
            if getattr(self, name) <= 0:
                raise InputError(f"{name}: expected a positive number, got {getattr(self, name)}")
        for name in ("warmup", "weight_decay", "label_smoothing", "batch_norm_momentum"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name}: expected a number from 0 to 1, got {getattr(self, name)}")
        if self.crop_padding < 0:
            raise InputError(f"crop_padding: expected 0 or more pixels, got {self.crop_padding}")
