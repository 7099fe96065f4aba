from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from nas.core.errors import InputError, WorkError
from nas.core.records import Architecture, Trial
from nas.search.config import RunConfig
from nas.search.run_directory import Run


def trial(number: int) -> Trial:
    return Trial(
        number,
        Architecture("tiny", (1, number)),
        "ok",
        {"accuracy": 0.25, "macs": 12},
        0.5,
        1.5,
        None,
        {"stage1.expand": 2},
    )


def create(path: Path) -> Run:
    return Run.create(path, RunConfig(trials=3), {"python": "3"}, "2026-01-01T00:00:00")


def test_what_was_appended_is_there_when_opened_again(tmp_path: Path) -> None:
    run = create(tmp_path / "a" / "run")
    trials = [trial(0), Trial(1, Architecture("tiny", (0, 0)), "failed", {}, None, 0.1, "diverged: loss is nan")]
    run.append(trials[:1])
    run.append(trials[1:])
    run.close()
    again = Run.open(tmp_path / "a" / "run")
    assert again.trials == trials and again.config == RunConfig(trials=3)
    line = json.loads((again.path / "trials.jsonl").read_text().splitlines()[0])
    for key in ("number", "genes", "choices", "status", "metrics", "reward", "seconds", "error"):
        assert key in line


@pytest.mark.parametrize("cut", [1, 10, 60])
def test_a_torn_last_line_is_cut(tmp_path: Path, cut: int) -> None:
    run = create(tmp_path / "run")
    run.append([trial(0), trial(1)])
    run.close()
    path = tmp_path / "run" / "trials.jsonl"
    path.write_bytes(path.read_bytes()[:-cut])
    again = Run.open(tmp_path / "run")
    assert again.trials == [trial(0)]
    again.append([trial(2)])
    again.close()
    assert Run.open(tmp_path / "run").trials == [trial(0), trial(2)]


def test_a_damaged_line_in_the_middle_is_named(tmp_path: Path) -> None:
    run = create(tmp_path / "run")
    run.append([trial(0)])
    run.close()
    path = tmp_path / "run" / "trials.jsonl"
    path.write_text("{}\n" + path.read_text())
    with pytest.raises(InputError, match="trials.jsonl, line 1: not a trial"):
        Run.open(tmp_path / "run")


def test_one_process_writes_at_a_time(tmp_path: Path) -> None:
    run = create(tmp_path / "run")
    with pytest.raises(InputError, match="another process is running"):
        Run.open(tmp_path / "run")
    run.close()
    Run.open(tmp_path / "run").close()


def test_folders_that_are_taken_or_no_runs(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").write_text("")
    with pytest.raises(InputError, match="is not empty; choose another --out$"):
        create(tmp_path / "taken")
    with pytest.raises(InputError, match="is a file"):
        create(tmp_path / "taken" / "file")
    with pytest.raises(InputError, match="has no config.yaml"):
        Run.open(tmp_path / "taken")


@pytest.mark.parametrize(
    "change",
    [
        {"number": "<img src=x>"}, {"reward": "abc"}, {"reward": 0.5, "status": "failed"}, {"seconds": None},
        {"error": 3}, {"choices": []}, {"genes": [0.5]}, {"status": "fine"}, {"metrics": {"accuracy": "high"}},
    ],
    ids=str,
)  # fmt: skip
def test_a_line_of_another_form_is_told(tmp_path: Path, change: dict[str, object]) -> None:
    run = create(tmp_path / "run")
    run.append([trial(0)])
    run.close()
    row = json.loads((tmp_path / "run" / "trials.jsonl").read_text())
    (tmp_path / "run" / "trials.jsonl").write_text(json.dumps({**row, **change}) + "\n")
    with pytest.raises(InputError, match="line 1: not a trial"):
        Run.open(tmp_path / "run")


def test_a_failed_write_leaves_the_journal_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = create(tmp_path / "run")
    run.append([trial(0)])
    before = (run.path / "trials.jsonl").read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(WorkError, match=r"trial 1 could not be saved \(No space left on device\).*--resume"):
        run.append([trial(1)])
    assert (run.path / "trials.jsonl").read_bytes() == before and run.trials == [trial(0)]


def test_checkpoints_come_back_and_damage_is_seen(tmp_path: Path) -> None:
    run = create(tmp_path / "run")
    assert run.load_checkpoint(["told"]) is None
    run.save_checkpoint({"told": 2**80})
    assert run.load_checkpoint(["told"]) == {"told": 2**80}
    assert run.load_checkpoint(["told", "pending"]) is None
    (run.path / "controller.json").write_text("{")
    assert run.load_checkpoint(["told"]) is None
    assert not [path for path in run.path.iterdir() if path.name.startswith(".")]
