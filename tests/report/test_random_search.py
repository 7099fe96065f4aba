"""The curve of random search is an expectation that can be computed otherwise."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, product
from pathlib import Path

import numpy as np
import pytest

from nas.report.content import make_page
from nas.report.facts import Facts
from nas.report.random_search import RandomSearch, expected_best, expected_best_of_own, random_search


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


def test_draws_without_replacement_are_the_mean_over_all_subsets() -> None:
    rewards = [0.3, 0.9, 0.5, 0.5, 0.1]
    curve = expected_best_of_own(rewards)
    for draws in range(1, 6):
        exact = np.mean([max(drawn) for drawn in combinations(rewards, draws)])
        assert curve[draws - 1] == pytest.approx(exact)


def test_a_search_is_not_compared_with_itself(failing_run: Path) -> None:
    assert random_search(Facts.read(failing_run)) == "this search is random itself"
    facts = Facts.read(failing_run)
    predictor = replace(facts, config=facts.config.model_copy(update={"controller": {"name": "predictor"}}))
    assert "no random search is known" in str(random_search(predictor))


def test_evolutions_first_trials_stand_for_random_draws_as_far_as_they_go(failing_run: Path) -> None:
    facts = Facts.read(failing_run)
    config = facts.config.model_copy(update={"controller": {"name": "evolution", "population": 10, "sample": 5}})
    found = random_search(replace(facts, config=config))
    assert isinstance(found, RandomSearch) and not found.independent and len(found.best) == 10
    first = sorted((trial for trial in facts.trials if trial.number < 10), key=lambda trial: trial.number)
    worth = [trial.reward or 0.0 for trial in first]
    assert found.best[0] == pytest.approx(np.mean(worth)) and found.best[-1] == pytest.approx(max(worth))
    page = make_page(replace(facts, config=config), "0")
    progress = next(chart for chart in page.charts if chart.name == "progress")
    assert "no random search was run beyond them" in progress.caption and "ahead" not in progress.caption


def test_another_run_may_be_drawn_beside(failing_run: Path, predicted_run: Path) -> None:
    found = random_search(Facts.read(predicted_run), Facts.read(failing_run))
    assert isinstance(found, RandomSearch) and found.independent and "failing" in found.source
    assert found.label == "failing (random)" and len(found.best) == 30
