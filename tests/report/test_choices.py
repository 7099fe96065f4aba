"""Shares of the best and effects of options, on trials whose accuracy is known to be a sum."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nas.core.records import Architecture, Trial
from nas.report.choices import best_trials, option_table

EFFECTS = {"stage1.kernel": (0.0, 0.02), "stage2.expand": (-0.01, 0.0, 0.03), "depth": (0.0, 0.0)}


def trials(count: int, noise: float = 0.0, seed: int = 3) -> list[Trial]:
    generator = np.random.default_rng(seed)
    found = []
    for number in range(count):
        genes = tuple(int(generator.integers(len(values))) for values in EFFECTS.values())
        accuracy = 0.5 + sum(values[gene] for values, gene in zip(EFFECTS.values(), genes, strict=True))
        accuracy += noise * float(generator.standard_normal())
        metrics = {"accuracy": accuracy, "macs": 1e6 * (1 + genes[1])}
        choices = dict(zip(EFFECTS, ((3, 5)[genes[0]], (2, 4, 6)[genes[1]], ("a", "b")[genes[2]]), strict=True))
        found.append(Trial(number, Architecture("toy", genes), "ok", metrics, accuracy, choices=choices))
    return found


def test_effects_of_a_sum_are_found_again() -> None:
    found = option_table(trials(400, noise=0.002))
    assert found is not None and found.additive and (found.trials, found.best) == (400, 40)
    table = {(one.decision, one.value): one for one in found.options}
    assert list(table) == [
        ("stage1.kernel", "3"), ("stage1.kernel", "5"), ("stage2.expand", "2"), ("stage2.expand", "4"),
        ("stage2.expand", "6"), ("depth", "a"), ("depth", "b"),
    ]  # fmt: skip
    difference = table["stage1.kernel", "5"].accuracy - table["stage1.kernel", "3"].accuracy
    assert difference == pytest.approx(0.02, abs=0.001)
    difference = table["stage2.expand", "6"].accuracy - table["stage2.expand", "2"].accuracy
    assert difference == pytest.approx(0.04, abs=0.001)
    assert abs(table["depth", "a"].accuracy) < 2 * table["depth", "a"].accuracy_error < 0.001
    for decision in EFFECTS:
        own = [one for one in table.values() if one.decision == decision]
        assert sum(one.share * one.accuracy for one in own) == pytest.approx(0, abs=1e-9)
        assert sum(one.share for one in own) == pytest.approx(1) == sum(one.best_share for one in own)
    assert table["stage2.expand", "6"].best_share == 1 and table["stage2.expand", "6"].macs > 0
    assert (table["stage2.expand", "6"].row, table["stage2.expand", "6"].field) == ("stage2", "expand")
    assert (table["depth", "a"].row, table["depth", "a"].field) == ("depth", "")


@pytest.mark.parametrize("count", [8, 16, 200])
def test_intervals_hold_what_they_promise(count: int) -> None:
    """About 95% of the 95% intervals hold the effect that is known, of few trials too."""
    inside = []
    for seed in range(200 if count < 100 else 40):
        found = option_table(trials(count, noise=0.01, seed=seed))
        assert found is not None and found.additive == (count >= 14)
        for decision, values in EFFECTS.items():
            own = [one for one in found.options if one.decision == decision]
            if len(own) < len(values) or (not found.additive and decision != "depth"):
                continue  # few trials give means, in which the other decisions' effects are left
            mean = sum(one.share * value for one, value in zip(own, values, strict=True))
            truths = [value - mean for value in values]
            inside += [abs(one.accuracy - truth) <= one.accuracy_error for one, truth in zip(own, truths, strict=True)]
    assert 0.92 <= np.mean(inside) <= 0.99


def test_few_trials_give_means() -> None:
    few = trials(8)
    with_five = [trial.metrics["accuracy"] for trial in few if trial.choices["stage1.kernel"] == 5]
    everyone = [trial.metrics["accuracy"] for trial in few]
    table = option_table(few)
    assert table is not None and not table.additive
    five = next(one for one in table.options if one.value == "5")
    assert five.accuracy == pytest.approx(np.mean(with_five) - np.mean(everyone))


def test_trials_that_do_not_differ_have_no_interval() -> None:
    same = [replace(trial, metrics={"accuracy": 0.5}, reward=0.5) for trial in trials(8)]
    table = option_table(same)
    assert table is not None and all(np.isnan(one.accuracy_error) for one in table.options)


def test_the_best_are_a_tenth_and_five_at_least() -> None:
    assert (
        len(best_trials(trials(400))) == 40 and len(best_trials(trials(12))) == 5 and len(best_trials(trials(3))) == 3
    )
    ranked = best_trials(trials(400))
    assert min(trial.reward or 0 for trial in ranked) >= sorted(t.reward or 0 for t in trials(400))[-40]


def test_nothing_is_said_of_a_single_trial() -> None:
    assert option_table(trials(1)) is None is option_table([])
