"""The learning rate of every step, and of every stage."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any

import torch
from torch import nn

from nas.search_spaces.module import NetworkModule
from nas.training.recipe import Recipe
from nas.training.rmsprop import TensorFlowRMSProp

_MOST_WARMUP = 0.2  # maximum warm-up, as a share of all epochs


def rate_factor(recipe: Recipe, epoch: float) -> float:
    """Return the ratio of the learning rate to its peak after ``epoch`` epochs, which may be fractional.

    Warm-up is linear from 0. The exponential decay counts from the start, in steps (``staircase``), as in the papers'
    code; the cosine begins where the warm-up ends.
    """
    warmup = min(recipe.warmup_epochs, _MOST_WARMUP * recipe.epochs)
    if epoch < warmup:
        return epoch / warmup
    if recipe.decay == "exponential":
        return float(recipe.decay_rate ** math.floor(epoch / recipe.decay_epochs))
    return 0.5 * (1 + math.cos(math.pi * (epoch - warmup) / (recipe.epochs - warmup)))


def make_optimizer(groups: list[dict[str, Any]], recipe: Recipe) -> torch.optim.Optimizer:
    """Return the recipe's optimizer of groups of parameters; a group's ``rate`` is the factor of its learning rate."""
    rate = recipe.peak_learning_rate
    if recipe.optimizer == "rmsprop":
        return TensorFlowRMSProp(groups, lr=rate)
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=rate, momentum=0.9, nesterov=True)
    return torch.optim.AdamW(groups, lr=rate)


def parameter_groups(module: NetworkModule, recipe: Recipe) -> list[dict[str, Any]]:
    """Return one optimizer group for each combination of learning rate and weight decay.

    A group's ``rate`` is the ratio of its learning rate to the recipe's: ``layer_decay`` to the power of the number of
    stages after it, and ``head_rate`` for the classifier.
    """
    norms = {
        id(parameter)
        for part in module.modules()
        if isinstance(part, nn.BatchNorm2d)
        for parameter in part.parameters(recurse=False)
    }
    groups: dict[tuple[float, float], list[nn.Parameter]] = defaultdict(list)
    for name, parameter in module.named_parameters():
        decayed = id(parameter) not in norms and (parameter.ndim > 1 or recipe.decay_biases)
        groups[_rate(name, len(module.stages), recipe), recipe.weight_decay if decayed else 0.0].append(parameter)
    return [{"params": parameters, "rate": rate, "weight_decay": decay} for (rate, decay), parameters in groups.items()]


def set_rates(optimizer: torch.optim.Optimizer, value: float) -> None:
    """Set every group's learning rate to ``value`` times the group's ``rate``."""
    for group in optimizer.param_groups:
        group["lr"] = value * group["rate"]


def _rate(name: str, stages: int, recipe: Recipe) -> float:
    """Return the ratio of a parameter's learning rate to the recipe's, by its part: stem, stages, head, classifier."""
    part, *rest = name.split(".")
    if part == "classifier":
        return recipe.head_rate
    behind = {"stem": stages, "stages": stages - 1 - int(rest[0]) if part == "stages" else 0}.get(part, 0)
    return float(recipe.layer_decay**behind)
