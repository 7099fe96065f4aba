"""Losses of the policy (Schulman et al. 2017, arXiv 1707.06347; Williams 1992).

The reward of an architecture is credited to each of its decisions, because there is no reward before the last decision.
"""

from __future__ import annotations

import torch
from torch import Tensor

_LEAST_SCALE = 1e-6  # scale of advantages below which they are only rounding errors


def advantages(rewards: Tensor, baseline: float, normalise: bool) -> Tensor:
    """Return how much each reward ``(batch,)`` exceeds the baseline; ``normalise`` divides by the root mean square.

    The std of the rewards is not used for this: if all rewards are equal, it is only a rounding error.
    """
    above = rewards - baseline
    scale = float(above.square().mean().sqrt())
    return above / scale if normalise and scale > _LEAST_SCALE else above


def moving_average(before: float | None, rewards: Tensor, weight: float) -> float:
    """Return the exponential moving average of batches' mean rewards; the mean itself for the first batch."""
    mean = float(rewards.mean())
    return mean if before is None else weight * before + (1 - weight) * mean


def ppo_loss(new: Tensor, old: Tensor, advantage: Tensor, clip: float) -> Tensor:
    """Return the clipped surrogate objective, negated (equation 7).

    Args:
        new: logarithms of the tokens' probabilities under the policy, ``(batch, tokens)``.
        old: the same under the policy that drew the tokens.
        advantage: advantage of each architecture, ``(batch,)``.
        clip: distance of the ratio of probabilities from 1 beyond which there is no further gain.
    """
    ratio = torch.exp(new - old)
    gain = advantage[:, None]
    return -torch.minimum(ratio * gain, ratio.clamp(1 - clip, 1 + clip) * gain).sum(dim=1).mean()


def reinforce_loss(new: Tensor, advantage: Tensor) -> Tensor:
    """Return the loss whose gradient is REINFORCE's: minus advantage times the genotype's log-probability."""
    return -(advantage * new.sum(dim=1)).mean()
