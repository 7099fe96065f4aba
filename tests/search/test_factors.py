"""Rewards with factors on any metric."""

from __future__ import annotations

from pathlib import Path

import pytest

from nas.controllers.objectives import Objectives
from nas.core.errors import InputError
from nas.search.assemble import prepare
from nas.search.config import load_config
from nas.search.config_objective import reward
from tests.toys import read_trials, run_nas

EVALUATOR = """
class Mine:
    def evaluate(self, architecture, network):
        return {"accuracy": 0.5, "energy_mj": 1.0 + sum(architecture.genes), **({"%s": 3} if %s else {})}
"""


def test_every_factor_has_its_own_target_and_exponents() -> None:
    config = load_config(
        "default",
        {"objective": {"target_flops": "400M"}},
        [
            "objective.factors=[{metric: params, target: 5M, alpha: 0, beta: -1},"
            " {metric: memory_bytes, target: 20MB}, {metric: latency_ms, target: 800us}]"
        ],
    )
    found = reward(config)
    assert found.metrics == ("macs", "params", "memory_bytes", "latency_ms")
    metrics = {"accuracy": 0.8, "macs": 4e8, "params": 1e7, "memory_bytes": 2e7, "latency_ms": 0.4}
    assert found(metrics) == pytest.approx(0.8 * 0.5 * 2**0.07)
    assert found({**metrics, "params": 1e6}) == pytest.approx(0.8 * 2**0.07)


@pytest.mark.parametrize(
    ("factors", "message"),
    [
        ("[{metric: accuracy, target: 1}]", "first factor already"),
        ("[{metric: macs, target: 1M}]", "'macs' has a factor already"),
        ("[{metric: parms, target: 1M}]", "no metric of this search is named 'parms'; did you mean 'params'"),
        ("[{metric: latency_ms, target: 3ms}]", "give --device"),
        ("[{metric: params}]", "target"),
        ("[{metric: params, target: -3}]", "positive"),
    ],
)
def test_factors_that_cannot_work(factors: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        prepare(load_config("default", {"objective": {"target_flops": "400M"}}, [f"objective.factors={factors}"]))


@pytest.mark.parametrize("controller", ["random", "predictor"])
def test_the_users_own_metric_is_a_factor(tmp_path: Path, controller: str) -> None:
    (tmp_path / "mine.py").write_text(EVALUATOR % ("x", False))
    factor = "objective.factors=[{metric: energy_mj, target: 5, alpha: -0.5, beta: -0.5}]"
    options = ("--space", "small-images", "--evaluator", "mine.py:Mine", "--workers", "0", "--trials", "12")
    run_nas(
        "search", *options, "--controller", controller, "--set", factor, "--no-report", "--out", "run", cwd=tmp_path
    )
    for row in read_trials(tmp_path / "run"):
        assert row["reward"] == pytest.approx(0.5 * (row["metrics"]["energy_mj"] / 5) ** -0.5)


@pytest.mark.parametrize("name", ["macs", "reward", "seconds"])
def test_names_of_the_programs_own_metrics_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "mine.py").write_text(EVALUATOR % (name, True))
    options = ("--space", "small-images", "--evaluator", "mine.py:Mine", "--workers", "0", "--trials", "3")
    said = run_nas("search", *options, "--no-report", "--out", "run", cwd=tmp_path, check=1).stderr
    assert f"the evaluator's metric '{name}' has a name of the program's own" in said


def test_a_metric_that_is_not_positive_fails_the_trial(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text((EVALUATOR % ("x", False)).replace("1.0 + sum", "0 * sum"))
    options = ("--space", "small-images", "--evaluator", "mine.py:Mine", "--workers", "0", "--trials", "2")
    factor = "objective.factors=[{metric: energy_mj, target: 5}]"
    said = run_nas("search", *options, "--set", factor, "--no-report", "--out", "run", cwd=tmp_path, check=1).stderr
    assert "the metric 'energy_mj' is 0, but a factor of the reward needs a positive value" in said


def test_uncertainties_are_minimised() -> None:
    names = ["accuracy", "accuracy_longer", "accuracy_std", "throughput_std", "max:own_std", "macs"]
    assert Objectives.parse(names).signs == (1, 1, -1, -1, 1, -1)
