"""The control of a search: stock networks of its budget, trained as its own networks are."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest

from nas.core.journal import read_rows
from nas.evaluate.cost.exact import network_cost
from nas.report.control import control_section
from nas.report.facts import Facts
from nas.search.control import JOURNAL, control_seconds
from nas.search.result import ControlNetwork, ControlResult, Result
from nas.search_spaces.yaml_format import load_network
from tests.conftest import write_images
from tests.toys import read_trials, run_nas, start_nas

SMALL = (
    *("--space", "own-images", "--workers", "0", "--set", "data.resolution=16", "--set", "evaluator.epochs=1"),
    *("--set", "control.networks=[mobilenet_v3_small,resnet18]", "--set", "control.trainings=2"),
)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    write_images(tmp_path / "images", {"a": 60, "b": 61, "c": 60})
    return tmp_path


def control_rows(run: Path) -> list[tuple[str, int]]:
    rows = [(str(row["network"]), row["round"]) for row in read_rows(run / "control.jsonl")]
    return [(name if name.startswith("trial") else name.rpartition(" ")[0], number) for name, number in rows]


def test_a_search_says_whether_it_beats_stock_networks_of_its_budget(images: Path) -> None:
    options = ("--data", "images", "--target-flops", "6M", "--trials", "2", *SMALL, "--control", "--report")
    shown = run_nas("search", *options, "--out", "run", cwd=images)
    run = images / "run"
    result = Result.read(run)
    assert result is not None and result.control is not None
    control = result.control
    names = [one.name for one in control.networks]
    assert names == ["mobilenet_v3_small", "own-images default", "resnet18"]
    for one in control.networks:
        assert 0.9 * 6e6 <= (one.macs or 0) <= 6e6 and one.accuracy is not None
    best = max((one for one in control.networks if not one.is_default), key=lambda one: one.accuracy or 0)
    assert control.default_verdict in shown.stdout and "default architecture" in control.default_verdict
    assert control.best == best.name and control.trainings == 2 and control.epochs == 1
    assert result.test_accuracy == control.baseline_test
    assert control.difference == pytest.approx(control.baseline_test - control.best_test)
    assert 0 < control.half_width <= 1
    assert f"Worth it?       {control.verdict}" in shown.stdout
    assert control.verdict in (run / "report.html").read_text().replace("&#39;", "'")
    assert network_cost(load_network(run / "control.yaml")).macs == best.macs
    baseline = f"trial {result.number}"
    assert sorted(control_rows(run)) == sorted(
        [
            *((name, 0) for name in names),
            *((one, number) for one in (best.name, names[1], baseline) for number in (1, 2)),
        ]
    )
    seeds = {(row["round"], row["seed"]) for row in read_rows(run / "control.jsonl")}
    assert len(seeds) == 3  # the seed of a round is that of every network
    check_page(run)
    again = run_nas("search", "--resume", "run", cwd=images)  # nothing is left to train
    assert "control  " not in again.stdout and len(control_rows(run)) == 9


@pytest.mark.slow
def test_no_control_leaves_it_out(images: Path) -> None:
    options = ("--data", "images", "--target-flops", "6M", "--trials", "1", *SMALL, "--no-control")
    shown = run_nas("search", *options, "--out", "run", cwd=images)
    assert not (images / "run" / "control.jsonl").exists() and "Worth it?" not in shown.stdout
    assert "control" not in json.loads((images / "run" / "result.json").read_text())


@pytest.mark.slow
def test_without_a_budget_the_control_has_the_macs_of_the_baseline(images: Path) -> None:
    options = ("--data", "images", "--trials", "2", *SMALL, "--control")
    run_nas("search", *options, "--out", "run", cwd=images)
    result = Result.read(images / "run")
    assert result is not None and result.control is not None and result.macs
    assert all(0.85 * result.macs <= (one.macs or 0) <= result.macs for one in result.control.networks)


@pytest.mark.slow
def test_confirming_rounds_train_the_control_from_the_same_seeds(images: Path) -> None:
    more = ("--confirm", "1", "--set", "confirm.epochs=2", "--set", "confirm.rounds=2", "--control")
    run_nas(
        "search", "--data", "images", "--target-flops", "6M", "--trials", "3", *SMALL, *more, "--out", "r", cwd=images
    )
    rows = list(read_rows(images / "r" / "confirm.jsonl"))
    assert len({row["network"] for row in rows if row["network"] is not None}) == 2
    by_round: dict[int, set[int]] = {}
    for row in rows:
        by_round.setdefault(row["round"], set()).add(row["seed"])
    assert all(len(seeds) == 1 for seeds in by_round.values())
    result = Result.read(images / "r")
    assert result is not None and result.control is not None
    assert result.control.epochs == 2 and result.control.trainings >= 1
    assert all(candidate.number >= 0 for candidate in result.confirmed.candidates)  # type: ignore[union-attr]
    best = next(one for one in result.control.networks if one.name == result.control.best)
    assert len(best.confirmed) >= 1
    assert "confirm  " in (images / "r" / "run.log").read_text()


@pytest.mark.slow
def test_a_killed_control_goes_on_where_it_was(images: Path) -> None:
    options = ("--data", "images", "--target-flops", "6M", "--trials", "2", *SMALL, "--control")
    process = start_nas("search", *options, "--out", "run", cwd=images)
    journal = images / "run" / "control.jsonl"
    end = time.monotonic() + 200
    while not journal.exists() and time.monotonic() < end:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = control_rows(images / "run")
    assert 1 <= len(done) <= 9
    run_nas("search", "--resume", "run", cwd=images)
    rows = control_rows(images / "run")
    assert rows[: len(done)] == done and len(set(rows)) == len(rows) and len(read_trials(images / "run")) == 2


@pytest.mark.slow
def test_the_seconds_of_the_control_count_in_the_budget(images: Path) -> None:
    options = ("--data", "images", "--target-flops", "6M", "--budget", "12s", *SMALL, "--control")
    shown = run_nas("search", *options, "--out", "run", cwd=images)
    spent = json.loads((images / "run" / "spent.json").read_text())["clock_s"]
    control = [row["seconds"] for row in read_rows(images / "run" / "control.jsonl")][:1]
    assert spent > sum(control) and "The budget of 12s allows no further trial" in shown.stdout


@pytest.mark.slow
def test_a_budget_below_every_stock_network_is_said_once_with_numbers(images: Path) -> None:
    (images / "tiny.yaml").write_text(
        "name: tiny\nresolution: 16\nclasses: 3\nstem: {channels: 8}\n"
        "stages:\n  - {op: mbconv, expand: 1, channels: [8, 16], stride: 2}\nhead: {channels: 16}\n"
    )
    options = ("--data", "images", "--space", "tiny.yaml", "--set", "objective.limits={macs: 40K}", "--trials", "1")
    fast = ("--workers", "0", "--set", "data.resolution=16", "--set", "evaluator.epochs=1", "--control")
    shown = run_nas("search", *options, *fast, "--out", "run", cwd=images)
    told = [line for line in shown.stdout.splitlines() if "no stock network" in line]
    assert len(told) == 1 and told[0].count("its smallest scaling has") == 5 and "MACs" in told[0]
    result = Result.read(images / "run")
    assert result is not None and result.control is None and "Worth it?" not in shown.stdout


@pytest.mark.slow
def test_a_resumed_run_of_before_there_was_a_control_has_none(images: Path) -> None:
    options = ("--data", "images", "--target-flops", "6M", "--trials", "1", *SMALL, "--no-control")
    run_nas("search", *options, "--out", "run", cwd=images)
    config = images / "run" / "config.yaml"
    text = config.read_text()
    start = text.index("control:\n")
    end = text.index("workers:", start)
    config.write_text(text[:start] + text[end:])
    run_nas("search", "--resume", "run", "--trials", "2", cwd=images)
    assert len(read_trials(images / "run")) == 2 and not (images / "run" / "control.jsonl").exists()
    run_nas("search", "--resume", "run", "--control", cwd=images)  # unless it is asked for
    result = Result.read(images / "run")
    assert result is not None and result.control is not None
    assert all(one.resolution > 40 or one.is_default for one in result.control.networks)


def verdict(difference: float, half_width: float) -> str:
    network = ControlNetwork(name="resnet18", words="resnet18, width 0.2, 64 px", width=0.2, depth=1, resolution=64)
    one = ControlResult(
        networks=(network,),
        best="resnet18",
        words=network.words,
        trainings=3,
        baseline_test=0.6 + difference,
        best_test=0.6,
        difference=difference,
        half_width=half_width,
        test_images=320,
    )
    return one.verdict


def test_verdicts_are_plain() -> None:
    assert verdict(0.008, 0.005) == "0.8 ± 0.5 points above the best stock network (resnet18, width 0.2, 64 px)"
    assert verdict(0.008, 0.02).startswith(
        "no better than resnet18, width 0.2, 64 px (0.8 ± 2.0 points above it): take"
    )
    assert verdict(-0.04, 0.02).startswith("4.0 ± 2.0 points below the best stock network")
    assert verdict(-0.04, 0.02).endswith("take that, or search longer")


def check_page(run: Path) -> None:
    """Check that the page names the stock network to take if the search's own is not better."""
    facts = Facts.read(run)
    section = control_section(facts)
    assert section is not None and facts.result is not None and facts.result.control is not None
    told = " ".join(section.text)
    assert facts.result.control.verdict in told
    assert ("control.yaml" in told) is not facts.result.control.is_better
    assert len(section.tables[0].rows) == 3


def test_only_trainings_before_the_search_count_in_its_budget(tmp_path: Path) -> None:
    rows = [{"network": "a", "round": number, "seconds": 2.0 + number} for number in (0, 0, 1, 2)]
    (tmp_path / JOURNAL).write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert control_seconds(tmp_path) == 2 + 2 + 3 + 4
    assert control_seconds(tmp_path, before_search=True) == 2 + 2
