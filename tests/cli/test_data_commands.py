"""``nas data`` and the searches that use what it prepares, by the real program."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nas.cli.app import app
from nas.evaluate.data.load import data_names
from tests.conftest import write_images
from tests.toys import read_trials, run_nas

RUNNER = CliRunner()


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("NAS_DATA", raising=False)
    monkeypatch.chdir(tmp_path)


def test_what_can_be_named_is_listed() -> None:
    shown = RUNNER.invoke(app, ["data", "list"])
    assert shown.exit_code == 0 and all(name in shown.output for name in data_names())
    listed = json.loads(RUNNER.invoke(app, ["data", "list", "--json"]).output)
    assert [row["name"] for row in listed["named"]] == list(data_names()) and listed["prepared"] == []
    assert {row["name"]: row["here"] for row in listed["named"]}["cifar10"] == "no; --download"


def test_preparing_says_what_there_is_and_what_comes_next(tmp_path: Path) -> None:
    write_images(tmp_path / "pictures", {"a": 120, "b": 120})
    (tmp_path / "pictures" / "a" / "bad.png").write_bytes(b"nothing")
    first = RUNNER.invoke(app, ["data", "prepare", "pictures", "--resolution", "16"])
    assert first.exit_code == 0, first.output
    assert "unreadable, left out: a/bad.png: " in first.output and "decoded now" in first.output
    assert "search --data pictures --set data.resolution=16" in first.output
    again = RUNNER.invoke(app, ["data", "prepare", "pictures", "--resolution", "16"])
    assert "every checksum is right" in again.output
    report = json.loads(RUNNER.invoke(app, ["data", "prepare", "pictures", "--resolution", "16", "--json"]).output)
    assert report["images"] == {"all": 241} and report["classes"] == 2 and not report["prepared_now"]
    assert len(report["unreadable"]) == 1 and Path(report["path"]).is_dir()
    (row,) = json.loads(RUNNER.invoke(app, ["data", "list", "--json"]).output)["prepared"]
    assert row["resolution"] == 16 and row["images"] == 241 and row["source"].endswith("pictures")
    assert "pictures at 16 px" in RUNNER.invoke(app, ["data", "list"]).output


def test_a_named_data_set_that_is_prepared_is_shown_as_such() -> None:
    assert RUNNER.invoke(app, ["data", "prepare", "digits", "--resolution", "8"]).exit_code == 0
    listed = json.loads(RUNNER.invoke(app, ["data", "list", "--json"]).output)["named"]
    assert listed[0]["name"] == "digits" and listed[0]["prepared_at"] == [8]


@pytest.mark.slow
def test_a_search_on_a_prepared_folder_with_everything_on(tmp_path: Path) -> None:
    """Halving, confirmation and a budget together, on images that are there in prepared form alone."""
    write_images(tmp_path / "pictures", {"a": 60, "b": 60, "c": 60})
    run_nas("data", "prepare", "pictures", "--resolution", "16", "--out", "ready", cwd=tmp_path)
    fixed = ("--space", "small-images", "--data", "ready", "--set", "data.resolution=16", "--workers", "2")
    schedule = ("--fidelity", "asha", "--set", "evaluator.epochs=3", "--confirm", "2", "--budget", "10m")
    shown = run_nas("search", *fixed, *schedule, "--trials", "6", "--out", "run", cwd=tmp_path).stdout
    assert "Estimate ≈ 6 trials" in shown and "Epochs   successive halving: 1, 3" in shown
    assert "Confirmed " in shown and "confirm.jsonl" in shown
    trials = read_trials(tmp_path / "run")
    assert sorted(trial["number"] for trial in trials) == list(range(6))
    assert {trial["status"] for trial in trials} == {"ok", "pruned"}
    rows = [json.loads(line) for line in (tmp_path / "run" / "confirm.jsonl").read_text().splitlines()]
    assert {row["epochs"] for row in rows} == {9}
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["number"] == result["confirmed"]["candidates"][0]["number"]
    more = run_nas("search", "--resume", "run", "--trials", "8", "--confirm", "1", cwd=tmp_path).stdout
    assert len(read_trials(tmp_path / "run")) == 8 and "6 of 8 trials are done" in more


@pytest.mark.slow
def test_an_open_ended_search_ends_with_its_budget(tmp_path: Path) -> None:
    small = ("--set", "data.fraction=0.1", "--set", "evaluator.epochs=1", "--workers", "0")
    shown = run_nas("search", "--config", "digits", "--budget", "12s", *small, "--out", "run", cwd=tmp_path).stdout
    assert "Trials   as many as 12s allows" in shown and "The budget of 12s allows no further trial" in shown
    done = len(read_trials(tmp_path / "run"))
    assert done >= 2
    again = run_nas("search", "--resume", "run", "--budget", "24s", "--workers", "0", cwd=tmp_path).stdout
    assert f"{done} trials are done" in again and len(read_trials(tmp_path / "run")) > done
