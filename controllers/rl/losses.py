"""What the policy minimises (Schulman et al. 2017, arXiv 1707.06347; Williams 1992).

An architecture's reward is credited to every one of its decisions: nothing is earned before the last.
"""

from __future__ import annotations

import torch
from torch import Tensor

LEAST_SCALE = 1e-6  # of advantages, below which they are rounding


def advantages(rewards: Tensor, baseline: float, normalise: bool) -> Tensor:
    """Return by how much each reward ``(batch,)`` exceeds the baseline, divided by their root mean square if asked.

    The std of the rewards alone would not do: where all are alike it is nothing but rounding.
    """
    above = rewards - baseline
    scale = float(above.square().mean().sqrt())
    return above / scale if normalise and scale > LEAST_SCALE else above


def moving_average(before: float | None, rewards: Tensor, weight: float) -> float:
    """Return the exponential moving average of batches' mean rewards; the first mean itself where there was none."""
    mean = float(rewards.mean())
    return mean if before is None else weight * before + (1 - weight) * mean


def ppo_loss(new: Tensor, old: Tensor, advantage: Tensor, clip: float) -> Tensor:
    """Return the clipped surrogate objective, negated (equation 7).

    Args:
        new: logarithms of the tokens' probabilities under the policy, ``(batch, tokens)``.
        old: the same when the tokens were drawn.
        advantage: of each architecture, ``(batch,)``.
        clip: how far the ratio of probabilities may profitably move from 1.
    """
    ratio = torch.exp(new - old)
    gain = advantage[:, None]
    return -torch.minimum(ratio * gain, ratio.clamp(1 - clip, 1 + clip) * gain).sum(dim=1).mean()


def reinforce_loss(new: Tensor, advantage: Tensor) -> Tensor:
    """Return the loss whose gradient is REINFORCE's: minus advantage times the genotype's log-probability."""
    return -(advantage * new.sum(dim=1)).mean()
