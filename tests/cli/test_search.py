"""The real command line, end to end, in processes of its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nas.search_spaces.yaml_format import load_network
from tests.conftest import write_images
from tests.toys import TINY_FORM, comparable, read_trials, run_nas

TINY_TRAINING = ("--set", "evaluator.epochs=1", "--set", "data.fraction=0.1", "--set", "evaluator.batch_size=32")


def test_digits_on_two_ray_workers_from_images_to_family(tmp_path: Path) -> None:
    result = run_nas("search", "--config", "digits", "--trials", "4", *TINY_TRAINING, "--out", "run", cwd=tmp_path)
    trials = read_trials(tmp_path / "run")
    assert sorted(trial["number"] for trial in trials) == [0, 1, 2, 3]
    assert all(trial["status"] == "ok" and 7.2e6 <= trial["metrics"]["macs"] <= 8e6 for trial in trials)
    outcome = json.loads((tmp_path / "run" / "result.json").read_text())
    best = max(trials, key=lambda trial: trial["reward"])
    assert (outcome["number"], outcome["macs"]) == (best["number"], best["metrics"]["macs"])
    assert 0 <= outcome["test_accuracy"] <= 1
    load_network(tmp_path / "run" / "baseline.yaml")
    for text in (
        "Test accuracy",
        f"{outcome['macs']:,}",
        f"{outcome['params']:,}",
        "stage5",
        "nas scale run",
        "front.csv",
    ):
        assert text in result.stdout
    assert "ray" not in result.stdout.lower().replace("ray workers", "") and result.stderr == ""
    family = run_nas("scale", "run", "--official", "b1..b2", "--out", "family", "--json", cwd=tmp_path)
    assert [member["name"] for member in json.loads(family.stdout)] == ["run-baseline_b1", "run-baseline_b2"]
    assert len(list((tmp_path / "family").glob("*.yaml"))) == 2


def test_an_image_folder_with_a_corrupt_file_without_ray(tmp_path: Path) -> None:
    write_images(tmp_path / "data", {"a": 60, "b": 61})
    (tmp_path / "data" / "b" / "000.png").write_bytes(b"broken")
    tiny = ("--trials", "2", "--workers", "0", "--set", "evaluator.epochs=1")
    arguments = ("--config", "image_folder", "--data", "data", *tiny)
    result = run_nas("search", *arguments, "--out", "run", cwd=tmp_path)
    assert "1 unreadable images are left out" in result.stdout and "b/000.png" in result.stdout
    assert "b/000.png" in (tmp_path / "run" / "run.log").read_text()
    assert [trial["status"] for trial in read_trials(tmp_path / "run")] == ["ok", "ok"]


@pytest.mark.slow
def test_one_seed_one_result_in_two_processes_and_on_ray(tmp_path: Path) -> None:
    arguments = ("--space", "small-images", "--target-flops", "8M", "--trials", "3", "--seed", "3", *TINY_TRAINING)
    for name, workers in (("a", "0"), ("b", "0"), ("c", "1")):
        run_nas("search", *arguments, "--workers", workers, "--out", name, cwd=tmp_path)
    assert comparable(tmp_path / "a") == comparable(tmp_path / "b") == comparable(tmp_path / "c")


@pytest.mark.slow
def test_deterministic_mode_with_two_workers(toys: Path) -> None:
    arguments = ("--evaluator", "toys.py:Jittery", "--trials", "20", "--workers", "2", "--deterministic")
    runs = []
    for name in ("a", "b"):
        run_nas("search", *arguments, "--out", name, cwd=toys)
        runs.append(sorted(comparable(toys / name), key=lambda trial: int(trial["number"])))
    assert runs[0] == runs[1]


@pytest.mark.slow
def test_user_code_reaches_workers_from_any_directory(toys: Path) -> None:
    (toys / "elsewhere").mkdir()
    run_nas(
        "search",
        "--evaluator",
        "../toys.py:Sine",
        "--trials",
        "3",
        "--workers",
        "1",
        "--out",
        "run",
        cwd=toys / "elsewhere",
    )
    assert len(read_trials(toys / "elsewhere" / "run")) == 3


@pytest.mark.slow
def test_a_users_space_in_yaml_and_in_python(toys: Path) -> None:
    import yaml

    (toys / "mine.yaml").write_text(yaml.safe_dump(TINY_FORM))
    common = ("--trials", "2", "--workers", "0", *TINY_TRAINING)
    run_nas("search", "--space", "mine.yaml", "--set", "data.resolution=16", *common, "--out", "a", cwd=toys)
    (toys / "mine.py").write_text(
        "from torch import nn\n"
        "class Mine:\n"
        "    name, gene_sizes, resolution = 'mine', (3, 2), 32\n"
        "    def build(self, architecture):\n"
        "        width = 8 * (1 + architecture.genes[0])\n"
        "        layers = [nn.Conv2d(3, width, 3, 2, 1), nn.ReLU()] * 1\n"
        "        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10))\n"
    )
    run_nas("search", "--space", "mine.py:Mine", "--target-flops", "120K", *common, "--out", "b", cwd=toys)
    macs = {trial["metrics"]["macs"] for trial in read_trials(toys / "b")}
    assert macs == {16 * 27 * 256 + 160}
    assert "space: mine" in (toys / "b" / "baseline.yaml").read_text()
    assert run_nas("show", "b", cwd=toys, check=2).stderr.count("has no stage tables") == 1


@pytest.mark.slow
def test_a_module_that_reads_values_while_it_is_built_is_counted_too(toys: Path) -> None:
    (toys / "reads.py").write_text(
        "import torch\nfrom torch import nn\n"
        "class Reads:\n    name, gene_sizes, resolution = 'reads', (2, 2), 8\n"
        "    def build(self, architecture):\n"
        "        rates = [rate.item() for rate in torch.linspace(0, 0.2, 3)]\n"
        "        layers = [nn.Conv2d(3, 4 + architecture.genes[0], 3), nn.Dropout(rates[2]), nn.AdaptiveAvgPool2d(1)]\n"
        "        return nn.Sequential(*layers, nn.Flatten(), nn.Linear(4 + architecture.genes[0], 10))\n"
    )
    run_nas(
        "search",
        "--space",
        "reads.py:Reads",
        "--trials",
        "1",
        "--workers",
        "0",
        *TINY_TRAINING,
        "--out",
        "run",
        cwd=toys,
    )
    assert read_trials(toys / "run")[0]["metrics"]["macs"] in {4 * 27 * 36 + 40, 5 * 27 * 36 + 50}


def test_a_runs_configuration_repeats_it(toys: Path) -> None:
    run_nas("search", "--evaluator", "toys.py:Sine", "--trials", "4", "--workers", "0", "--out", "a", cwd=toys)
    run_nas("search", "--config", "a/config.yaml", "--out", "b", cwd=toys)
    assert comparable(toys / "a") == comparable(toys / "b")


@pytest.mark.slow
def test_a_test_score_that_was_cut_off_is_made_up_for(tmp_path: Path) -> None:
    arguments = ("--space", "small-images", "--trials", "2", "--workers", "0", *TINY_TRAINING, "--out", "run")
    run_nas("search", *arguments, cwd=tmp_path)
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["test_accuracy"] is not None
    (tmp_path / "run" / "result.json").write_text(json.dumps(result | {"test_accuracy": None}))
    run_nas("search", "--resume", "run", cwd=tmp_path)
    assert json.loads((tmp_path / "run" / "result.json").read_text()) == result


@pytest.mark.slow
def test_a_run_whose_cluster_is_gone_goes_on_elsewhere(toys: Path) -> None:
    run_nas("search", "--evaluator", "toys.py:Sine", "--trials", "2", "--workers", "0", "--out", "run", cwd=toys)
    away = ("--resume", "run", "--trials", "3", "--workers", "1", "--address", "127.0.0.1:1")
    assert "127.0.0.1:1" in run_nas("search", *away, cwd=toys, check=2).stderr
    run_nas("search", "--resume", "run", "--trials", "3", cwd=toys)
    config = (toys / "run" / "config.yaml").read_text().replace("address: null", "address: 127.0.0.1:1")
    (toys / "run" / "config.yaml").write_text(config.replace("count: 0", "count: 1"))
    run_nas("search", "--resume", "run", "--trials", "4", cwd=toys, check=2)
    run_nas("search", "--resume", "run", "--trials", "4", "--address", "local", cwd=toys)
    assert len(read_trials(toys / "run")) == 4


@pytest.mark.slow
def test_a_stray_ray_address_is_not_joined(toys: Path) -> None:
    arguments = ("--evaluator", "toys.py:Sine", "--trials", "2", "--workers", "1", "--out", "run")
    run_nas("search", *arguments, cwd=toys, RAY_ADDRESS="127.0.0.1:1")
    assert len(read_trials(toys / "run")) == 2


def test_broken_user_code_stops_early_and_is_shown(toys: Path) -> None:
    result = run_nas(
        "search", "--evaluator", "toys.py:Broken", "--trials", "50", "--workers", "0", "--out", "run", cwd=toys, check=1
    )
    assert (
        "the first 3 trials all failed with the same error: ZeroDivisionError: division by zero (toys.py, line"
        in result.stderr
    )
    assert "evaluate_safely" not in result.stderr
    assert len(read_trials(toys / "run")) == 3


@pytest.mark.slow
def test_a_cluster_that_is_joined_and_left_running(toys: Path) -> None:
    """On a cluster of Ray's own making; ours must use it and leave it."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2})
    try:
        arguments = ("--evaluator", "toys.py:Sine", "--trials", "4", "--workers", "2", "--address", cluster.address)
        run_nas("search", *arguments, "--out", "run", cwd=toys)
        run_nas("search", *arguments, "--out", "again", cwd=toys)
        assert len(read_trials(toys / "run")) == len(read_trials(toys / "again")) == 4
    finally:
        cluster.shutdown()


@pytest.mark.slow
def test_every_trial_keeps_to_every_limit(toys: Path) -> None:
    limits = ("--target-flops", "300M", "--max-params", "4M", "--max-memory", "24MB")
    own = ("--set", "objective.limits.peak_activation_bytes=6MB")
    arguments = ("--space", "mnasnet", *limits, *own, "--evaluator", "toys.py:Sine", "--workers", "0")
    result = run_nas("search", *arguments, "--trials", "40", "--out", "run", cwd=toys)
    assert "at most 4.00M params, at most 24.0M bytes of memory, at most 6.00M bytes of activations" in result.stdout
    for trial in read_trials(toys / "run"):
        metrics = trial["metrics"]
        assert 270e6 <= metrics["macs"] <= 300e6 and metrics["params"] <= 4e6
        assert metrics["memory_bytes"] <= 24e6 and metrics["peak_activation_bytes"] <= 6e6
    run_nas("search", "--config", "run/config.yaml", "--out", "again", cwd=toys)
    assert comparable(toys / "run") == comparable(toys / "again")
