"""What a report of trust says of rankings that are known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import kendalltau, t

from nas.core.changes import nested
from nas.core.errors import WorkError
from nas.core.records import Evaluation
from nas.core.statistics import measure_noise
from nas.evaluate.contract import Job
from nas.search.assemble import Setup, prepare
from nas.search.config import load_config
from nas.studies.proxy_ranking import JOURNAL, Plan, draw_networks, judge, kendall, measure_trust, plan_from_run
from tests.search.test_loop import FakePool, Killed
from tests.toys import Heard, run_nas


def rows(proxy: list[list[float]], longer: list[list[float]]) -> list[dict[str, Any]]:
    found = []
    for kind, groups in (("proxy", proxy), ("longer", longer)):
        for network, own in enumerate(groups):
            for accuracy in own:
                found.append(
                    {"kind": kind, "genes": [network], "accuracy": accuracy, "seconds": 1.0 + (kind == "longer")}
                )
    return found


def test_a_perfect_proxy() -> None:
    trust = judge(rows([[0.1], [0.2], [0.3], [0.4]], [[0.5], [0.6], [0.7], [0.8]]))
    assert (trust.networks, trust.tau, trust.tau_low, trust.tau_high, trust.best_kept) == (4, 1.0, 1.0, 1.0, 1.0)
    assert trust.std is None and trust.smallest_difference is None and trust.tau_between_seeds is None
    assert (trust.seconds, trust.longer_seconds) == (1.0, 2.0)


def test_a_proxy_that_ranks_the_wrong_way() -> None:
    trust = judge(rows([[0.4], [0.3], [0.2]], [[0.5], [0.6], [0.7]]))
    assert trust.tau == -1.0 and trust.best_kept == 0.0


def test_seeds_are_compared_and_pooled() -> None:
    proxy = [[0.10, 0.12], [0.20, 0.18], [0.30, 0.32], [0.41, 0.39]]
    longer = [[0.5, 0.52], [0.6, 0.61], [0.7, 0.72], [0.81, 0.80]]
    trust = judge(rows(proxy, longer))
    expected = np.sqrt(np.mean([np.var(own, ddof=1) for own in proxy]))
    assert trust.std == pytest.approx(expected)
    assert trust.smallest_difference == pytest.approx(t.ppf(0.975, 4) * np.sqrt(2) * expected)
    assert trust.tau_between_seeds == trust.tau_longer_seeds == trust.tau_of_means == 1.0


@pytest.mark.parametrize("networks", [2, 5, 200])
def test_chance_alone_exceeds_the_smallest_difference_in_one_of_twenty_cases(networks: int) -> None:
    """However few trainings the noise is measured by."""
    generator = np.random.default_rng(0)
    exceeded = []
    for _ in range(3000 if networks < 100 else 300):
        noise = measure_noise(generator.normal(scale=0.01, size=(networks, 2)).tolist())
        assert noise is not None and noise.freedom == networks
        gap = abs(generator.normal(scale=0.01, size=2).mean() - generator.normal(scale=0.01, size=3).mean())
        exceeded.append(gap > noise.smallest_difference(2, 3))
    assert np.mean(exceeded) == pytest.approx(0.05, abs=0.02)
    assert measure_noise([[0.5], [0.6]]) is None


def test_kendalls_tau_is_scipys_and_says_nothing_of_constants() -> None:
    first, second = np.array([0.1, 0.4, 0.2, 0.2]), np.array([0.3, 0.1, 0.2, 0.5])
    assert kendall(first, second) == pytest.approx(kendalltau(first, second).statistic)
    assert kendall(np.ones(4), second) == 0.0


def test_too_few_networks_make_no_ranking() -> None:
    with pytest.raises(WorkError, match="only 2 networks were trained by both schedules"):
        judge(rows([[0.1], [0.2], [0.3]], [[0.5], [0.6]]))


@pytest.fixture
def setup() -> Setup:
    return prepare(load_config("digits", nested({"workers.count": 0}), []))


def score(job: Job) -> Evaluation:
    noise = np.random.default_rng(job.seed).normal() * 0.01 / sum(job.cycles)
    accuracy = 0.5 + 0.01 * sum(job.architecture.genes) + noise
    return Evaluation(job.architecture, "ok", {"accuracy": float(accuracy)}, float(sum(job.cycles)))


def test_trainings_are_kept_and_a_killed_report_goes_on(tmp_path: Path, setup: Setup) -> None:
    networks = draw_networks(setup, 8)
    assert networks == draw_networks(setup, 8) and len(set(networks)) == 8
    assert all(setup.domain.admits(network) for network in networks)
    plan = Plan(networks, epochs=1, longer_epochs=10, seeds=3, longer_seeds=2)
    with pytest.raises(Killed):
        measure_trust(setup, plan, tmp_path, lambda: FakePool(1, 0, score, alive=25))
    done = (tmp_path / JOURNAL).read_text().count("\n")
    assert 0 < done < 40
    pool = FakePool(2, 0, score)
    trust = measure_trust(setup, plan, tmp_path, lambda: pool)
    assert len(pool.submitted) == 40 - done and trust.networks == 8
    assert trust.tau > 0.3 and trust.longer_std is not None and trust.std is not None
    assert trust.longer_std < trust.std
    nobody = FakePool(1, 0, score, alive=0)
    assert measure_trust(setup, plan, tmp_path, lambda: nobody) == trust  # all is known
    more = measure_trust(setup, Plan(networks, 1, 10, 4, 2), tmp_path, lambda: pool)
    assert len(pool.submitted) == 48 - done and more.networks == 8


def test_failures_are_left_out(tmp_path: Path, setup: Setup) -> None:
    networks = draw_networks(setup, 4)

    def partly(job: Job) -> Evaluation:
        if job.architecture == networks[0]:
            return Evaluation(job.architecture, "failed", {}, 0.1, "diverged: loss is nan", "diverged")
        return score(job)

    said = Heard()
    trust = measure_trust(setup, Plan(networks, 1, 5, 1, 1), tmp_path, lambda: FakePool(1, 0, partly), callback=said)
    assert trust.networks == 3 and sum("failed: diverged" in line for line in said.messages) == 2


def test_a_runs_own_networks_come_first_spread_over_its_ranking(setup: Setup) -> None:
    drawn = draw_networks(setup, 12)
    ranked, others = list(drawn[:6]), drawn[4:]
    plan = plan_from_run(setup, Plan(others[:4], 1, 5), ranked)
    assert plan.networks == (ranked[0], ranked[2], ranked[3], ranked[5])
    few = plan_from_run(setup, Plan(others, 1, 5), ranked[:2])
    assert few.networks[:2] == tuple(ranked[:2]) and len(few.networks) == 8 == len(set(few.networks))


@pytest.mark.slow
def test_a_run_and_a_space_are_judged_by_the_real_program(tmp_path: Path) -> None:
    small = ("--set", "evaluator.epochs=2", "--workers", "0")
    run_nas("search", "--config", "digits", "--trials", "4", *small, "--out", "run", cwd=tmp_path)
    less = ("--networks", "3", "--seeds", "2", "--longer", "3", "--longer-seeds", "1", "--workers", "0")
    shown = run_nas("trust", "run", *less, cwd=tmp_path).stdout
    assert "Kendall's tau" in shown and "Not significant" in shown and "run/trust.json" in shown
    assert json.loads((tmp_path / "run" / "trust.json").read_text())["networks"] == 3
    again = run_nas("trust", "run", *less, "--json", cwd=tmp_path).stdout
    assert json.loads(again) == json.loads((tmp_path / "run" / "trust.json").read_text())
    assert "trust.json" in run_nas("search", "--resume", "run", cwd=tmp_path).stdout
    run_nas("trust", "small-images", *less, "--set", "data.fraction=0.1", "--set", "evaluator.epochs=1", cwd=tmp_path)
    assert (tmp_path / "trust" / "small-images" / "trust.jsonl").read_text().count("\n") == 9
    wrong = run_nas("trust", "run", "--data", "digits", cwd=tmp_path, check=2).stderr
    assert "a run keeps its configuration" in wrong
    wrong = run_nas("trust", "run", "--workers", "-1", cwd=tmp_path, check=2).stderr
    assert "workers.count: expected greater than or equal to 0, got -1" in wrong


def test_images_that_are_gone_stop_it_and_nothing_is_written_for_them(tmp_path: Path, setup: Setup) -> None:
    def gone(job: Job) -> Evaluation:
        return Evaluation(job.architecture, "failed", {}, 0.0, "the images cannot be read", "data")

    plan = Plan(draw_networks(setup, 4), 1, 5, 1, 1)
    with pytest.raises(WorkError, match="the images cannot be read. Put them back"):
        measure_trust(setup, plan, tmp_path, lambda: FakePool(1, 0, gone))
    assert not (tmp_path / JOURNAL).exists()
    assert measure_trust(setup, plan, tmp_path, lambda: FakePool(1, 0, score)).networks == 4


def test_trainings_of_another_configuration_are_not_taken_for_these(tmp_path: Path) -> None:
    pools = []
    for changes in ({}, {"data.fraction": 0.5}, {"evaluator.batch_size": 16}, {"data.classes": 5}, {}):
        setup = prepare(load_config("digits", nested({"workers.count": 0, **changes}), []))
        pools.append(FakePool(1, 0, score))
        measure_trust(setup, Plan(draw_networks(setup, 3), 1, 5, 1, 1), tmp_path, lambda: pools[-1])
    assert [len(pool.submitted) for pool in pools] == [6, 6, 6, 6, 0]


def test_networks_that_learned_nothing_are_no_ranking() -> None:
    trust = judge(rows([[0.1, 0.1], [0.1, 0.1], [0.1, 0.1], [0.1, 0.1]], [[0.1], [0.1], [0.1], [0.1]]))
    assert not trust.differ and trust.best_kept < 0.5
    assert judge(rows([[0.1], [0.2], [0.3]], [[0.1], [0.2], [0.3]])).differ
