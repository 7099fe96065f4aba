"""The default search, on predicted ImageNet accuracy, and the commands around it; the real command line."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nas.evaluate.imagenet.skeleton import gene_sizes
from nas.search_spaces.yaml_format import load_network
from tests.evaluate.imagenet.tables import made_up_rows, write_rows
from tests.toys import TOY_EVALUATORS, comparable, read_trials, run_nas


def test_a_b0_for_a_budget_with_nothing_else_given(tmp_path: Path) -> None:
    result = run_nas("search", "--target-flops", "400M", "--trials", "400", "--out", "run", cwd=tmp_path)
    assert result.stdout.splitlines()[0].startswith("ImageNet accuracy is predicted, not trained")
    assert result.stderr == "" and "Ray" not in result.stdout
    trials = read_trials(tmp_path / "run")
    assert [trial["number"] for trial in trials] == list(range(400))
    for trial in trials:
        assert trial["status"] == "ok" and 360e6 <= trial["metrics"]["macs"] <= 400e6
        assert {"accuracy", "accuracy_std", "accuracy_longer", "macs", "params"} <= set(trial["metrics"])
    for name in ("config.yaml", "front.csv", "baseline.yaml", "result.json", "neighbours.csv", "run.log"):
        assert (tmp_path / "run" / name).stat().st_size > 0, name
    outcome = json.loads((tmp_path / "run" / "result.json").read_text())
    assert outcome["test_accuracy"] is None and outcome["macs"] <= 400e6
    predicted = outcome["predicted"]
    assert predicted["found"]["accuracy"] > 0.64 and predicted["efficientnet_b0"]["macs"] == 385_814_752
    assert predicted["gain_interval"][0] < predicted["gain"] < predicted["gain_interval"][1]
    assert predicted["b0_inside"] and predicted["b0_better_than"] > 0.99
    load_network(tmp_path / "run" / "baseline.yaml")
    for text in (
        "efficientnet_b0",
        "stage7",
        "16 epochs",
        "5.5x longer",
        "Optimism",
        "Where B0 stands",
        "Largest gains",
    ):
        assert text in result.stdout, text
    assert "nas confirm run --data DIR" in result.stdout


def test_nothing_heavy_is_imported_for_it(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom nas.cli.app import app\n"
        "words = ['search', '--target-flops', '300M', '--trials', '5', '--no-report', '--out', 'run']\n"
        "app(words, standalone_mode=False)\n"
        "assert not {'torch', 'ray', 'sklearn', 'scipy', 'optuna', 'wandb'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True)


def test_one_seed_one_journal_and_a_run_goes_on_as_if_never_stopped(tmp_path: Path) -> None:
    arguments = ("--target-flops", "200M", "--seed", "4")
    run_nas("search", *arguments, "--trials", "300", "--out", "whole", cwd=tmp_path)
    run_nas("search", *arguments, "--trials", "150", "--out", "parts", cwd=tmp_path)
    run_nas("search", "--resume", "parts", "--trials", "300", cwd=tmp_path)
    assert comparable(tmp_path / "whole") == comparable(tmp_path / "parts")


def test_budgets_on_predicted_speed(tmp_path: Path) -> None:
    fast = ("--trials", "60", "--target-flops", "300M")
    limit = ("--device", "vck190", "--max-latency", "3ms")
    result = run_nas("search", *fast, *limit, "--out", "latency", cwd=tmp_path)
    assert all(trial["metrics"]["latency_ms"] <= 3 for trial in read_trials(tmp_path / "latency"))
    assert "Device   vck190: Xilinx VCK190" in result.stdout and "predicted latency, ms" in result.stdout
    run_nas("search", *fast, "--device", "a100", "--min-throughput", "8000", "--out", "throughput", cwd=tmp_path)
    assert all(trial["metrics"]["throughput"] >= 8000 for trial in read_trials(tmp_path / "throughput"))
    run_nas(
        "search", "--trials", "60", "--device", "zcu102", "--target-latency", "5ms", "--out", "target", cwd=tmp_path
    )
    for trial in read_trials(tmp_path / "target"):
        metrics = trial["metrics"]
        assert 4.5 <= metrics["latency_ms"] <= 5
        assert abs(trial["reward"] - metrics["accuracy"] * (metrics["latency_ms"] / 5) ** -0.07) < 1e-9
    assert json.loads((tmp_path / "latency" / "result.json").read_text())["latency_ms"] <= 3


def test_a_table_of_measured_metrics(tmp_path: Path) -> None:
    (tmp_path / "space.py").write_text("class Table:\n    name, gene_sizes = 'table', (3, 3, 3)\n")
    rows = {
        f"{a},{b},{c}": {"accuracy": 0.1 * (a + b + c), "macs": 10 + a}
        for a in range(3)
        for b in range(3)
        for c in (0, 2)
    }
    (tmp_path / "t.json").write_text(json.dumps(rows))
    arguments = ("--space", "space.py:Table", "--evaluator", "table", "--set", "evaluator.path=t.json")
    result = run_nas("search", *arguments, "--trials", "30", "--out", "run", cwd=tmp_path)
    trials = read_trials(tmp_path / "run")
    assert len(trials) == 18 and "ends after 18 trials" in result.stdout  # what the table lacks is never proposed
    assert json.loads((tmp_path / "run" / "result.json").read_text())["genes"] == [2, 2, 2]
    run_nas("search", *arguments, "--target-flops", "11", "--tolerance", "0.01", "--out", "band", cwd=tmp_path)
    assert {trial["metrics"]["macs"] for trial in read_trials(tmp_path / "band")} == {11}


@pytest.mark.slow
def test_scoring_and_importing_by_command(tmp_path: Path) -> None:
    write_rows(tmp_path / "t.csv", made_up_rows(40))
    found = json.loads(run_nas("surrogate", "score", "--data", "t.csv", "--json", cwd=tmp_path).stdout)
    assert set(found["top1"]) >= {"kendall_tau", "spearman", "r2", "mae", "mape", "count", "predictions_per_second"}
    assert found["top1"]["count"] == found["vck190_latency"]["count"] == 40
    part = json.loads(run_nas("surrogate", "score", "--data", "t.csv", "--split", "val", "--json", cwd=tmp_path).stdout)
    assert part["top1"]["count"] == 8 and "intervals" not in part["top1"]
    assert "top1" in run_nas("surrogate", "score", "--data", "t.csv", cwd=tmp_path).stdout
    assert "at least 200 rows" in run_nas("surrogate", "fit", "--data", "t.csv", cwd=tmp_path, check=2).stderr


def test_neighbours_speed_and_latency_by_command(tmp_path: Path) -> None:
    rows = json.loads(run_nas("sensitivity", "efficientnet_b0", "--json", cwd=tmp_path).stdout)
    assert len(rows) == sum(size - 1 for size in gene_sizes())
    assert "k5→k3 in stage 3" in run_nas("sensitivity", "efficientnet_b0", "--device", "a100", cwd=tmp_path).stdout
    profile = json.loads(run_nas("profile", "efficientnet_b0", "--device", "vck190", "--json", cwd=tmp_path).stdout)
    assert 2 < profile["predicted_latency_ms"] < 6 and "latency_ms" not in profile


@pytest.mark.slow
def test_a_latency_table_from_building_to_a_search_that_uses_it(tmp_path: Path) -> None:
    (tmp_path / "space.yaml").write_text(SPACE)
    build = ("latency", "build", "--space", "space.yaml", "--rounds", "5", "--out", "t.json", "--json")
    built = json.loads(run_nas(*build, cwd=tmp_path).stdout)
    assert built["mape"] >= 0 and len(built["networks"]) == 20
    limit = float(np.median([network["predicted_ms"] for network in built["networks"]]))
    arguments = ("--space", "space.yaml", "--data", "digits", "--workers", "0", "--trials", "2", "--device", "t.json")
    accepted = (
        "--max-latency",
        f"{limit}ms",
        "--set",
        "objective.max_latency_error=100",
        "--set",
        "evaluator.epochs=1",
    )
    tiny = ("--set", "data.fraction=0.1", "--set", "data.resolution=16")
    result = run_nas("search", *arguments, *accepted, *tiny, "--out", "run", cwd=tmp_path)
    assert all(trial["metrics"]["latency_ms"] <= limit for trial in read_trials(tmp_path / "run"))
    assert "measured here" in result.stdout and "mean error on 20 other networks" in result.stdout
    assert json.loads((tmp_path / "run" / "result.json").read_text())["measured_latency_ms"] > 0


def test_the_front_lists_what_was_predicted(tmp_path: Path) -> None:
    run_nas("search", "--target-flops", "300M", "--trials", "50", "--device", "a100", "--out", "run", cwd=tmp_path)
    with (tmp_path / "run" / "front.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert rows and {"accuracy", "macs", "params", "accuracy_std", "accuracy_longer", "throughput"} <= set(rows[0])


SPACE = """
name: small
resolution: 32
classes: 10
stem: {op: conv, channels: 16}
stages:
  - {op: mbconv, expand: [1, 4], kernel: [3, 5], stride: 1, channels: 16, layers: [1, 2, 3], se: [0, 0.25]}
  - {op: mbconv, expand: [3, 6], kernel: [3, 5], stride: 2, channels: [24, 32], layers: [1, 2, 3], se: 0}
head: {channels: 64}
"""


def test_a_sparse_table_of_a_large_space_is_all_that_is_proposed(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    genes = generator.integers(0, gene_sizes(), size=(12, 28)).tolist()
    rows = {
        ",".join(map(str, row)): {"accuracy": 0.5 + 0.01 * i, "latency_ms": float(i)} for i, row in enumerate(genes)
    }
    (tmp_path / "t.json").write_text(json.dumps(rows))
    arguments = ("search", "--evaluator", "table", "--set", "evaluator.path=t.json")
    run_nas(*arguments, "--out", "all", cwd=tmp_path)
    assert len(read_trials(tmp_path / "all")) == 12
    run_nas(*arguments, "--max-latency", "5ms", "--out", "fast", cwd=tmp_path)
    assert sorted(trial["metrics"]["latency_ms"] for trial in read_trials(tmp_path / "fast")) == [0, 1, 2, 3, 4, 5]
    empty = run_nas(*arguments, "--target-flops", "880M", "--tolerance", "0.001", cwd=tmp_path, check=2)
    assert "the rows of evaluator.path" in empty.stderr and "target_flops" in empty.stderr


def test_spaces_of_one_s_own_on_the_skeleton_and_partly_on_it(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN)
    fast = ("--trials", "20", "--target-flops", "390M", "--tolerance", "0.5")
    result = run_nas("search", "--space", "own.py:Space", *fast, "--out", "own", cwd=tmp_path)
    assert len(read_trials(tmp_path / "own")) == 4 and "efficientnet_b0" in result.stdout
    text = (Path(__file__).parents[2] / "search_spaces" / "efficientnet.yaml").read_text()
    (tmp_path / "wide.yaml").write_text(
        text.replace("channels: 16,", "channels: [16, 24],").replace("efficientnet\n", "w\n")
    )
    refused = run_nas("search", "--space", "wide.yaml", "--trials", "5", cwd=tmp_path, check=2)
    assert "--data" in refused.stderr and "channels" in refused.stderr


OWN = """
from dataclasses import replace
from nas.search_spaces.catalogue import reference_network

class Space:
    name, gene_sizes = "own", (2, 2)
    def decode(self, architecture):
        b0 = reference_network("efficientnet_b0")
        first = replace(b0.stages[2], kernel=3 + 2 * architecture.genes[0], layers=1 + architecture.genes[1])
        return replace(b0, stages=(*b0.stages[:2], first, *b0.stages[3:]))
"""


PLAIN = "class Space:\n    name, gene_sizes = 'mine', (4, 4, 4)\n"


@pytest.mark.parametrize(
    ("after", "words"),
    [
        ("class Space:\n    name, gene_sizes = 'mine', (4, 4)\n", "expected 2 genes, got 3"),
        (PLAIN + "    gene_names = ('a', 'b', 'c')\n", "its choices have changed: a, b, c"),
    ],
)
def test_a_space_that_has_changed_is_told_before_a_run_goes_on(tmp_path: Path, after: str, words: str) -> None:
    (tmp_path / "mine.py").write_text(PLAIN + TOY_EVALUATORS)
    parts = ("--space", "mine.py:Space", "--evaluator", "mine.py:Sine", "--workers", "0", "--controller", "random")
    run_nas("search", *parts, "--trials", "5", "--out", "run", cwd=tmp_path)
    (tmp_path / "mine.py").write_text(after + TOY_EVALUATORS)
    result = run_nas("search", "--resume", "run", "--trials", "9", cwd=tmp_path, check=2)
    assert "has changed since this run began (mine.py edited)" in result.stderr
    result = run_nas("search", "--resume", "run", "--trials", "9", "--accept-changes", cwd=tmp_path, check=2)
    assert "has changed since this run began: trial 0" in result.stderr and words in result.stderr
    assert len(read_trials(tmp_path / "run")) == 5
    (tmp_path / "mine.py").write_text(PLAIN + TOY_EVALUATORS)
    run_nas("search", "--resume", "run", "--trials", "9", cwd=tmp_path)
    assert len(read_trials(tmp_path / "run")) == 9
