"""The curve of random search is an expectation that can be computed otherwise."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest

from nas.report.facts import Facts
from nas.report.random_search import RandomSearch, expected_best, random_search


def test_expected_best_is_the_mean_over_all_draws() -> None:
    rewards = [0.3, 0.9, 0.5, 0.5]
    curve = expected_best(rewards, 4)
    for draws in range(1, 5):
        exact = np.mean([max(drawn) for drawn in product(rewards, repeat=draws)])
        assert curve[draws - 1] == pytest.approx(exact)


def test_expected_best_rises_towards_the_best() -> None:
    rewards = np.random.default_rng(0).random(200)
    curve = expected_best(rewards, 5000)
    assert len(curve) == 5000 and (np.diff(curve) >= 0).all()
    assert curve[0] == pytest.approx(rewards.mean()) and rewards.max() - curve[-1] < 1e-6


def test_predicted_runs_are_compared_with_draws_scored_alike(predicted_run: Path) -> None:
    facts = Facts.read(predicted_run)
    found = random_search(facts)
    assert isinstance(found, RandomSearch) and len(found.best) == 120
    assert 0.5 < found.best[0] < found.best[-1] < 0.68


def test_random_runs_are_their_own_estimate(failing_run: Path) -> None:
    facts = Facts.read(failing_run)
    found = random_search(facts)
    assert isinstance(found, RandomSearch) and "23 trials" not in found.source and len(found.best) == 30
    assert found.best[0] == pytest.approx(np.mean([trial.reward for trial in facts.succeeded]))
