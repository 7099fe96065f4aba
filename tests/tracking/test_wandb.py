"""What wandb logs offline is what the journal holds, and whatever goes wrong with it, the search goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nas.search.run_directory import Run, read_trials
from nas.tracking.wandb_run import WandbRun, choose_mode
from tests.toys import run_nas
from tests.tracking.offline_log import history

SEARCH = ("search", "--target-flops", "400M", "--wandb", "--out", "run")


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HOME", str(tmp_path))


def test_the_log_read_back_is_the_journal_also_after_a_resume(tmp_path: Path) -> None:
    first = run_nas(*SEARCH, "--trials", "30", cwd=tmp_path)
    assert "wandb logged offline; to upload: wandb sync run/wandb/offline-run-*" in first.stdout
    run_nas("search", "--resume", "run", "--trials", "40", cwd=tmp_path)
    rows, trials = history(tmp_path / "run" / "wandb"), read_trials(tmp_path / "run")
    assert [row["_step"] for row in rows] == list(range(40)) == [row["trial"] for row in rows]
    best = 0.0
    for row, trial in zip(rows, trials, strict=True):
        best = max(best, trial.reward or 0.0)
        assert (row["number"], row["status"], row["reward"]) == (trial.number, trial.status, trial.reward)
        assert (row["accuracy"], row["macs"], row["best_reward"]) == (
            trial.metrics["accuracy"],
            trial.metrics["macs"],
            best,
        )
    tables = sorted((tmp_path / "run" / "wandb").glob("offline-run-*/files/media/table/trials_*.json"))
    table = json.loads(tables[-1].read_text())
    numbers = [row[table["columns"].index("number")] for row in table["data"]]
    assert numbers == [trial.number for trial in trials]
    kernel = table["columns"].index("stage1.kernel")
    assert [row[kernel] for row in table["data"]] == [str(trial.choices["stage1.kernel"]) for trial in trials]


class Broken:
    """Stands for wandb."""

    class Settings:
        def __init__(self, **_: object) -> None: ...

    def __init__(self, fails: str) -> None:
        self.fails, self.modes = fails, list[str]()
        self.id = "abc"
        self.logged: list[dict[str, Any]] = []

    def init(self, mode: str, **_: object) -> Broken:
        self.modes.append(mode)
        if self.fails == "init" or (self.fails == "network" and mode == "online"):
            raise TimeoutError("no answer\nfrom there")
        return self

    def define_metric(self, *_: object, **__: object) -> None: ...

    def log(self, figures: dict[str, Any], step: int | None = None) -> None:  # noqa: ARG002
        if self.fails == "log":
            raise OSError(28, "No space left on device")
        self.logged.append(figures)


@pytest.fixture
def ended(tmp_path: Path) -> Path:
    run_nas("search", "--target-flops", "400M", "--trials", "6", "--out", "run", cwd=tmp_path)
    return tmp_path / "run"


@pytest.mark.parametrize("fails", ["init", "log"])
def test_faults_of_wandb_stop_nothing(fails: str, ended: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "wandb", Broken(fails))
    follower = WandbRun(Run.open(ended))
    follower.trial_finished(follower.run.trials[0], "")
    told = follower.close()
    assert told.startswith("wandb: ") and told.endswith("the search is not affected") and "\n" not in told


@pytest.mark.slow
def test_a_server_that_does_not_answer_costs_the_log_nothing(tmp_path: Path) -> None:
    """Real wandb, with a key and an address where nobody listens: what it could not send it keeps."""
    nobody = "http://127.0.0.1:9"
    result = run_nas(*SEARCH, "--trials", "5", cwd=tmp_path, WANDB_API_KEY="0" * 40, WANDB_BASE_URL=nobody)
    assert "wandb logged offline" in result.stdout
    rows = history(tmp_path / "run" / "wandb")
    assert [row["number"] for row in rows] == [0, 1, 2, 3, 4]


def test_a_damaged_state_and_address_cost_the_search_nothing(ended: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (ended / "wandb.json").write_text('{"logged": "x"}')
    follower = WandbRun(Run.open(ended))
    assert "the search is not affected" in follower.close()
    monkeypatch.setenv("WANDB_BASE_URL", "http://[")
    (ended / "wandb.json").unlink()
    follower.run.close()
    assert "the search is not affected" in WandbRun(Run.open(ended)).close()


def test_without_a_network_it_logs_offline(ended: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = Broken("network")
    monkeypatch.setitem(__import__("sys").modules, "wandb", broken)
    monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
    follower = WandbRun(Run.open(ended))
    follower.close()
    assert broken.modes == ["online", "offline"] and follower.mode == "offline"
    assert [figures["number"] for figures in broken.logged] == list(range(6))


def test_a_key_decides_where_nothing_else_does(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert choose_mode() == "offline"
    (tmp_path / "netrc").write_text("machine api.wandb.ai login user password key\n")
    (tmp_path / ".netrc").write_text("machine api.wandb.ai login user password key\n")
    (tmp_path / ".netrc").chmod(0o600)
    assert choose_mode() == "online"
    monkeypatch.setenv("WANDB_BASE_URL", "https://wandb.example.org")
    assert choose_mode() == "offline"
    monkeypatch.setenv("WANDB_API_KEY", "key")
    assert choose_mode() == "online"
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert choose_mode() == "disabled"
