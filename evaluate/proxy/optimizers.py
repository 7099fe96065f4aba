"""Optimizers, the learning rate's schedule, and the moving average of the weights."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from nas.evaluate.proxy.settings import ProxySettings


def schedule(step: int, steps: int, warmup: float) -> float:
    """Return the learning rate's factor: linear warm-up over a fraction of the steps, then cosine to 0."""
    rising = max(1, round(warmup * steps))
    if step < rising:
        return (step + 1) / rising
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))


def make_optimizer(module: nn.Module, settings: ProxySettings, capturable: bool = False) -> torch.optim.Optimizer:
    """Return the optimizer, fused; weight decay on convolutions and the classifier only, not on BatchNorm or biases.

    Args:
        module: module on its training device.
        settings: settings of the optimizer.
        capturable: whether to keep the learning rate in a tensor on the device, so that a CUDA graph reads its current
            value at each step.
    """
    decayed = [parameter for parameter in module.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in module.parameters() if parameter.ndim <= 1]
    groups: list[dict[str, object]] = [
        {"params": decayed, "weight_decay": settings.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    rate: float | Tensor = settings.learning_rate
    if capturable:
        rate = torch.tensor(settings.learning_rate, device=decayed[0].device if decayed else others[0].device)
    if settings.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=rate, momentum=0.9, nesterov=True, fused=True)
    return torch.optim.AdamW(groups, lr=rate, fused=True, capturable=capturable)


def set_learning_rate(optimizer: torch.optim.Optimizer, value: float) -> None:
    """Set the learning rate of every group, in place where it is a tensor."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(value)
        else:
            group["lr"] = value


def moving_average(module: nn.Module, decay: float) -> AveragedModel:
    """Return the exponential moving average of a module's weights and BatchNorm statistics.

    The decay rises with the updates, ``min(decay, (1 + n) / (10 + n))``, as TensorFlow's does, so that the first
    weights soon lose their influence.
    """

    def average(means: Sequence[Tensor], current: Sequence[Tensor], updates: Tensor | int) -> None:
        count = int(updates)
        kept = min(decay, (1 + count) / (10 + count))
        for mean, now in zip(means, current, strict=True):
            if mean.is_floating_point():
                mean.lerp_(now, 1 - kept)
            else:
                mean.copy_(now)

    return AveragedModel(module, multi_avg_fn=average, use_buffers=True)


def set_batch_norm_momentum(module: nn.Module, momentum: float) -> None:
    """Set the momentum of every BatchNorm layer.

    Short schedules need running statistics that adapt faster than those of the deployed network.
    """
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.momentum = momentum
