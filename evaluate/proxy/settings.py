"""How a proxy is trained, as plain data."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from nas.core.section import Section


class ProxySettings(Section):
    """A short training whose validation accuracy stands for the network's."""

    epochs: int = Field(default=3, ge=1)
    """Passes over the training images (the papers: 5 on ImageNet)."""
    batch_size: int = Field(default=64, ge=1)
    """Images a step."""
    optimizer: Literal["sgd", "adamw"] = "adamw"
    """``sgd`` has Nesterov momentum 0.9."""
    learning_rate: float = Field(default=0.004, gt=0)
    """At the top of the schedule: linear warm-up, then cosine to 0."""
    warmup: float = Field(default=0.1, ge=0, le=1)
    """Fraction of the steps that the learning rate rises."""
    weight_decay: float = Field(default=0.0001, ge=0, le=1)
    """On convolutions and the classifier."""
    label_smoothing: float = Field(default=0.1, ge=0, le=1)
    """Mass spread over all classes."""
    batch_norm_momentum: float = Field(default=0.2, ge=0, le=1)
    """In PyTorch's sense; replaces the network's own while the proxy trains."""
    crop_padding: int = Field(default=2, ge=0)
    """Largest random shift in pixels; 0 for none."""
    flip: bool | None = None
    """Mirror half of the images; unset: wherever the data allows it (not for digits)."""
    mixup: float = Field(default=0.0, ge=0)
    """Alpha of mixup; 0 for none."""
    cutmix: float = Field(default=0.0, ge=0)
    """Alpha of cutmix; 0 for none; with mixup too, each batch draws one of the two."""
    rand_augment: int | None = Field(default=None, ge=0, le=30)
    """Magnitude of RandAugment, for longer schedules: 9 is usual; unset: none."""
    drop_connect: float | None = Field(default=None, ge=0, lt=1)
    """Stochastic depth at the last block; unset: the network's own."""
    dropout: float | None = Field(default=None, ge=0, lt=1)
    """In front of the classifier; unset: the network's own."""
    ema: float | None = Field(default=None, ge=0, lt=1)
    """Decay of a moving average of the weights, which is then what is scored; unset: none."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """``auto``: bf16 or fp16 on GPUs, fp32 on CPUs; a training that diverges in less than fp32 is tried again in it."""
    cuda_graph: bool = True
    """Replay the whole step from a CUDA graph; modules that a space builds itself are trained without."""
    micro_batch: int | None = Field(default=None, ge=1)
    """At most so many images at once, gradients added up to a batch; unset: the whole batch."""
    reference_resolution: int | None = Field(default=None, ge=1)
    """Deployment resolution of a network that trains at ``resolution``; others train at larger or smaller images in
    proportion, as comparing scaled networks takes. Unset: all train at the images' own."""
    resolution: int | None = Field(default=None, ge=1)
    """With ``reference_resolution``: the side that it stands for; unset: the images' own."""
    threads: int = Field(default=1, ge=1)
    """CPU threads of a worker process."""
