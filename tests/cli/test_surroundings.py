"""The program in surroundings that are not ours: terminals, databases, packages, processes."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from nas.core.errors import InputError
from nas.evaluate.data.settings import DataSettings
from nas.export import export
from tests.toys import TINY_FORM, read_trials, run_nas

HOSTILE = """
import os, tempfile


class Mine:
    def __init__(self):
        os.chdir(tempfile.mkdtemp())

    def evaluate(self, architecture, network):
        os.chdir(tempfile.mkdtemp())
        return {"accuracy": 0.5}
"""


def test_a_terminal_that_cannot_show_a_character(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    for arguments in (
        "search --target-flops 400M --trials 20 --no-report --out r",
        "compare efficientnet_b0 mnasnet_a1",
    ):
        command = [sys.executable, "-m", "nas", *arguments.split()]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=True)
        assert b"Traceback" not in done.stderr and b"MACs" in done.stdout


def test_an_evaluator_that_changes_the_folder(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(HOSTILE)
    (tmp_path / "space.yaml").write_text(yaml.safe_dump(TINY_FORM))
    options = ("--space", "space.yaml", "--evaluator", "mine.py:Mine", "--workers", "0", "--trials", "3")
    run_nas("search", *options, "--no-report", "--out", "r", cwd=tmp_path)
    assert len(read_trials(tmp_path / "r")) == 3 and (tmp_path / "r" / "baseline.yaml").is_file()


def test_a_database_of_an_older_optuna(tmp_path: Path) -> None:
    import optuna

    url = f"sqlite:///{tmp_path / 'old.db'}"
    optuna.create_study(storage=url, study_name="theirs")
    with sqlite3.connect(tmp_path / "old.db") as database:
        database.execute("update version_info set schema_version = 10, library_version = '2.0.0'")
        database.execute("update alembic_version set version_num = 'v2.4.0.a'")
    run_nas("search", "--target-flops", "400M", "--trials", "20", "--no-report", "--out", "r", cwd=tmp_path)
    said = run_nas("export-study", "r", "--storage", url, cwd=tmp_path, check=2).stderr
    assert f"optuna storage upgrade --storage {url}" in said


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        ([True, False], "YAML reads yes, on and true as a truth value; write the name in quotes, such as 'yes'"),
        ([2019, 2020], "write the name in quotes: '2019'"),
    ],
)
def test_class_names_that_yaml_does_not_read_as_text(classes: list[object], words: str) -> None:
    with pytest.raises(ValueError, match="class names as text") as caught:
        DataSettings(classes=classes)  # type: ignore[arg-type]
    assert words in str(caught.value)


def test_exports_are_checked_with_the_packages_that_python_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Packages may come from PYTHONPATH or the user's site; isolated mode would hide them."""
    commands: list[list[str]] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        return subprocess.CompletedProcess(command, 1, "", "ModuleNotFoundError: No module named 'torch'")

    monkeypatch.setattr("nas.export.export.subprocess.run", run)
    from nas.search_spaces.catalogue import reference_network

    with pytest.raises(InputError, match="cannot be checked here"):
        export._verify("onnx", Path("x"), Path("y"), reference_network("mobilenet_v2"), None)
    assert commands[0][0] == sys.executable and not {"-I", "-E", "-s"} & set(commands[0])


@pytest.mark.parametrize("given", ["~/runs/x", "~/images"])
def test_the_home_directory_is_put_in_for_a_tilde(tmp_path: Path, given: str) -> None:
    (tmp_path / "images").mkdir()
    if given.endswith("images"):
        done = run_nas("data", "prepare", given, cwd=tmp_path, check=2, HOME=str(tmp_path))
        assert f"{tmp_path}/images' holds no images" in done.stderr
    else:
        options = ("--target-flops", "400M", "--trials", "20", "--no-report", "--out", given)
        run_nas("search", *options, cwd=tmp_path, HOME=str(tmp_path))
        assert (tmp_path / "runs" / "x" / "trials.jsonl").is_file()


@pytest.mark.slow
def test_ray_that_runs_already_in_this_process_is_used_and_left(toys: Path) -> None:
    code = """
import ray, nas
ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
nas.search(evaluator="toys.py:Sine", trials=3, workers=1, out="run", quiet=True)
assert ray.is_initialized() and ray.get(ray.remote(lambda: 5).remote()) == 5
"""
    subprocess.run([sys.executable, "-c", code], cwd=toys, check=True, env={**os.environ}, timeout=200)
    assert len(read_trials(toys / "run")) == 3
