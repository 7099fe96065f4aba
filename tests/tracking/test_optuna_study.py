"""The journal as Optuna studies, in a database, and in a dashboard that answers while the search goes on."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import time
import urllib.request
from importlib.util import find_spec
from pathlib import Path

import optuna
import pytest

from nas.core.errors import InputError
from nas.search.run_directory import read_trials
from nas.tracking.optuna_study import open_storage
from tests.toys import run_nas, start_nas

STATES = {"ok": "COMPLETE", "failed": "FAIL", "pruned": "PRUNED"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("studies")
    (folder / "some.py").write_text(
        "class Some:\n    def evaluate(self, architecture, network):\n"
        "        if architecture.genes[0]:\n            raise ValueError('no luck')\n"
        "        return {'accuracy': 0.5 + sum(architecture.genes) / 100}\n"
    )
    scored = ("--space", "small-images", "--evaluator", "some.py:Some", "--workers", "0", "--controller", "random")
    run_nas("search", *scored, "--trials", "12", "--out", "run", cwd=folder)
    return folder / "run"


def test_a_database_holds_the_journal_and_takes_what_is_new(run: Path, tmp_path: Path) -> None:
    partial = tmp_path / "run"
    shutil.copytree(run, partial)
    lines = (run / "trials.jsonl").read_text().splitlines(keepends=True)
    (partial / "trials.jsonl").write_text("".join(lines[:5]))
    export = ("export-study", "run", "--storage", "sqlite:///x.db")
    assert "5 trials added to 'run'" in run_nas(*export, cwd=tmp_path).stdout
    (partial / "trials.jsonl").write_text("".join(lines))
    assert "7 trials added to 'run'" in run_nas(*export, cwd=tmp_path).stdout
    assert "0 trials added to 'run'" in run_nas(*export, cwd=tmp_path).stdout
    trials, study = read_trials(run), optuna.load_study(study_name="run", storage=f"sqlite:///{tmp_path}/x.db")
    assert {trial.status for trial in trials} == {"ok", "failed"}
    for ours, theirs in zip(trials, study.trials, strict=True):
        assert theirs.user_attrs["number"] == ours.number and theirs.state.name == STATES[ours.status]
        assert theirs.params == ours.choices and theirs.value == ours.reward
    assert study.best_value == max(trial.reward or 0.0 for trial in trials)
    front = optuna.load_study(study_name="run: accuracy, MACs", storage=f"sqlite:///{tmp_path}/x.db")
    known = {(trial.metrics["accuracy"], trial.metrics["macs"]) for trial in trials if trial.reward}
    assert {tuple(trial.values) for trial in front.best_trials} <= known and front.best_trials


@pytest.mark.slow
def test_options_of_several_genes_and_runs_of_one_name(run: Path, tmp_path: Path) -> None:
    (tmp_path / "sums.py").write_text(
        "class Space:\n    name, gene_sizes = 'sums', (3, 3)\n"
        "    def choices(self, architecture):\n        return {'sum': sum(architecture.genes)}\n"
        "class Score:\n    def evaluate(self, architecture, network):\n"
        "        return {'accuracy': 0.5 + sum(architecture.genes) / 100}\n"
    )
    own = ("--space", "sums.py:Space", "--evaluator", "sums.py:Score", "--workers", "0", "--controller", "random")
    run_nas("search", *own, "--trials", "6", "--out", "run", cwd=tmp_path)
    export = ("--storage", "sqlite:///x.db")
    assert "6 trials added" in run_nas("export-study", "run", *export, cwd=tmp_path).stdout
    other = run_nas("export-study", run, *export, cwd=tmp_path, check=2)
    assert "a study 'run' of another run" in other.stderr


def test_a_storage_that_is_none_is_told() -> None:
    for url, word in (("x.db", "sqlite:///"), ("nonsense://x", "nonsense"), ("sqlite:////proc/none/x.db", "opened")):
        with pytest.raises((InputError, RuntimeError), match=word):
            open_storage(url)


@pytest.mark.skipif(find_spec("optuna_dashboard") is None, reason="optuna-dashboard is not installed")
def test_the_dashboard_answers_and_keeps_up(run: Path, tmp_path: Path) -> None:
    partial = tmp_path / "run"
    shutil.copytree(run, partial)
    lines = (run / "trials.jsonl").read_text().splitlines(keepends=True)
    (partial / "trials.jsonl").write_text("".join(lines[:3]))
    server = start_nas("dashboard", "run", "--port", "0", cwd=tmp_path, stderr=subprocess.PIPE)
    try:
        assert server.stdout is not None
        found = re.search(r"(http://127\.0\.0\.1:\d+)/dashboard/", server.stdout.readline())
        assert found is not None
        with urllib.request.urlopen(f"{found.group(1)}/dashboard/") as answer:
            assert answer.status == 200 and b"<html" in answer.read().lower()
        assert _shown(found.group(1)) == 3
        with (partial / "trials.jsonl").open("a") as journal:
            journal.write("".join(lines[3:]))
        deadline = time.monotonic() + 60
        while _shown(found.group(1)) < len(lines) and time.monotonic() < deadline:
            time.sleep(0.5)
        assert _shown(found.group(1)) == len(lines)
        server.send_signal(signal.SIGINT)
        assert server.wait(timeout=60) == 0
        assert server.stderr is not None and "Traceback" not in server.stderr.read()
    finally:
        server.kill()
        server.communicate()


def _shown(address: str) -> int:
    with urllib.request.urlopen(f"{address}/api/studies/0?after=0") as answer:
        return len(json.loads(answer.read())["trials"])
