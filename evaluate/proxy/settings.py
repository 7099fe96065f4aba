"""Settings of the training of a proxy."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from nas.core.section import Section


class ProxySettings(Section):
    """Settings of the proxy, a short training whose validation accuracy is used to rank networks."""

    epochs: int = Field(default=3, ge=1)
    """Passes over the training images (the papers: 5 on ImageNet)."""
    batch_size: int = Field(default=64, ge=1)
    """Images per step, at most; an epoch is split into steps of nearly equal size."""
    optimizer: Literal["sgd", "adamw"] = "adamw"
    """Optimizer; ``sgd`` uses Nesterov momentum 0.9."""
    learning_rate: float = Field(default=0.004, gt=0)
    """Peak learning rate for steps of ``batch_size`` images, lower in proportion for smaller steps; the schedule is a
    linear warm-up, then a cosine decay to 0."""
    warmup: float = Field(default=0.1, ge=0, le=1)
    """Fraction of the steps during which the learning rate rises."""
    weight_decay: float = Field(default=0.0001, ge=0, le=1)
    """Weight decay of convolutions and the classifier."""
    label_smoothing: float = Field(default=0.1, ge=0, le=1)
    """Probability mass that is spread over all classes."""
    class_weights: bool = False
    """Weigh each class's images in the loss by the inverse of their number."""
    batch_norm_momentum: float = Field(default=0.2, ge=0, le=1)
    """BatchNorm momentum as PyTorch defines it; replaces the network's own value while the proxy trains."""
    crop_padding: int = Field(default=2, ge=0)
    """Largest random shift in pixels; 0 for none."""
    flip: bool | None = None
    """Mirror half of the images; unset: only if the data allows it (not for digits)."""
    mixup: float = Field(default=0.0, ge=0)
    """Alpha of mixup; 0 for none."""
    cutmix: float = Field(default=0.0, ge=0)
    """Alpha of cutmix; 0 for none. If mixup is set too, each batch uses one of the two at random."""
    rand_augment: int | None = Field(default=None, ge=0, le=30)
    """Magnitude of RandAugment, for longer schedules: 9 is usual; unset: none."""
    drop_connect: float | None = Field(default=None, ge=0, lt=1)
    """Drop rate at the end of the linear stochastic-depth ramp; unset: the network's own rate."""
    dropout: float | None = Field(default=None, ge=0, lt=1)
    """Dropout rate before the classifier; unset: the network's own rate."""
    ema: float | None = Field(default=None, ge=0, lt=1)
    """Decay of a moving average of the weights, which is scored instead of the weights; unset: no average."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """``auto``: bf16 or fp16 on GPUs, fp32 on CPUs. A training that diverges in bf16 or fp16 is repeated in fp32."""
    cuda_graph: bool = True
    """Replay the whole step from a CUDA graph; modules that a space builds itself are trained without it."""
    micro_batch: int | None = Field(default=None, ge=1)
    """Largest number of images processed at once; gradients are summed over the batch. Unset: the whole batch."""
    reference_resolution: int | None = Field(default=None, ge=1)
    """Deployment resolution of the network that trains at ``resolution``; other networks train at proportionally larger
    or smaller images, so that scaled networks can be compared. Unset: all networks train at the images' resolution."""
    resolution: int | None = Field(default=None, ge=1)
    """Training resolution that corresponds to ``reference_resolution``; unset: the images' resolution."""
    threads: int = Field(default=1, ge=1)
    """CPU threads of a worker process."""
