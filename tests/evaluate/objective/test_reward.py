from __future__ import annotations

import pytest

from nas.evaluate.objective.reward import EXPONENTS, Factor, Reward


def test_soft_reward_prices_a_doubling_at_five_percent() -> None:
    soft = Factor("macs", 75, *EXPONENTS["soft"])
    assert soft({"macs": 150}) == pytest.approx(2**-0.07)
    assert soft({"macs": 37.5}) == pytest.approx(2**0.07)
    assert 0.5 * 1.05 * soft({"macs": 150}) == pytest.approx(0.5 * soft({"macs": 75}), rel=1e-3)


def test_hard_reward_is_flat_below_and_inverse_above() -> None:
    hard = Reward((Factor("macs", 80, *EXPONENTS["hard"]),))
    assert hard({"accuracy": 0.5, "macs": 40}) == 0.5
    assert hard({"accuracy": 0.5, "macs": 80}) == 0.5
    assert hard({"accuracy": 0.5, "macs": 160}) == 0.25


def test_rewards_multiply_factors() -> None:
    assert Reward()({"accuracy": 0.7}) == 0.7
    both = Reward((Factor("macs", 10, -1, -1), Factor("params", 5, 0, -2)))
    assert both({"accuracy": 0.8, "macs": 20, "params": 10}) == pytest.approx(0.8 / 2 / 4)
    with pytest.raises(KeyError):
        both({"accuracy": 0.8, "macs": 20})
