"""How a proxy is trained, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from nas.core.errors import InputError


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
    mixup: float = 0.0
    """Alpha of mixup; 0 for none."""
    cutmix: float = 0.0
    """Alpha of cutmix; 0 for none; with mixup too, each batch draws one of the two."""
    rand_augment: int | None = None
    """Magnitude of RandAugment, for longer schedules: 9 is usual; unset: none."""
    drop_connect: float | None = None
    """Stochastic depth at the last block; unset: the network's own."""
    dropout: float | None = None
    """In front of the classifier; unset: the network's own."""
    ema: float | None = None
    """Decay of a moving average of the weights, which is then what is scored; unset: none."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """``auto``: bf16 or fp16 on GPUs, fp32 on CPUs; a training that diverges in less than fp32 is tried again in it."""
    cuda_graph: bool = True
    """Replay the whole step from a CUDA graph; modules that a space builds itself are trained without."""
    micro_batch: int | None = None
    """At most so many images at once, gradients added up to a batch; unset: the whole batch."""
    reference_resolution: int | None = None
    """Deployment resolution of a network that trains at ``resolution``; others train at larger or smaller images in
    proportion, as comparing scaled networks takes. Unset: all train at the images' own."""
    resolution: int | None = None
    """With ``reference_resolution``: the side that it stands for; unset: the images' own."""
    threads: int = 1
    """CPU threads of a worker process."""

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "threads", "micro_batch", "reference_resolution", "resolution"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise InputError(f"{name}: expected at least 1, got {value}")
        if self.learning_rate <= 0:
            raise InputError(f"learning_rate: expected a positive number, got {self.learning_rate}")
        for name in ("warmup", "weight_decay", "label_smoothing", "batch_norm_momentum"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name}: expected a number from 0 to 1, got {getattr(self, name)}")
        for name in ("drop_connect", "dropout", "ema"):
            if (value := getattr(self, name)) is not None and not 0 <= value < 1:
                raise InputError(f"{name}: expected a number from 0 to below 1, got {value}")
        for name in ("mixup", "cutmix"):
            if getattr(self, name) < 0:
                raise InputError(f"{name}: expected 0 or more, got {getattr(self, name)}")
        if self.rand_augment is not None and not 0 <= self.rand_augment <= 30:
            raise InputError(f"rand_augment: expected a magnitude from 0 to 30, got {self.rand_augment}")
        if self.crop_padding < 0:
            raise InputError(f"crop_padding: expected 0 or more pixels, got {self.crop_padding}")
