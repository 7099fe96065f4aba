"""A run keeps its inputs: it resumes where they moved, says what was edited, and is opened without running code."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

from nas.search.inputs import INPUTS
from tests.conftest import write_images
from tests.toys import TINY_FORM, read_trials, run_nas

EVALUATOR = """
import os
import helper
open(os.path.join(os.path.dirname(__file__), "ran"), "w").close()


class Mine:
    def evaluate(self, architecture, network):
        return {"accuracy": helper.score(architecture)}
"""
HELPER = "def score(architecture):\n    return 0.5 + 0.01 * sum(architecture.genes)\n"
SPACE = (
    "class Space:\n    name, gene_sizes = 'mine', (4, 4)\n\n"
    "    def costs(self, genes):\n        return {'macs': 100 + genes.sum(1)}\n"
)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a space, an evaluator, its neighbour and a run of three trials."""
    folder = tmp_path / "old"
    folder.mkdir()
    (folder / "space.yaml").write_text(yaml.safe_dump(TINY_FORM))
    (folder / "mine.py").write_text(EVALUATOR)
    (folder / "helper.py").write_text(HELPER)
    search(folder, "--space", "space.yaml")
    return folder


def search(folder: Path, *more: str, check: int = 0, evaluator: str = "mine.py:Mine") -> str:
    options = ("--evaluator", evaluator, "--workers", "0", "--trials", "3", "--no-report", "--out", "runs/a")
    done = run_nas("search", *options, *more, cwd=folder, check=check)
    return done.stdout + done.stderr


def resume(folder: Path, *more: str, check: int = 0, run: str = "runs/a") -> str:
    done = run_nas("search", "--resume", run, "--trials", "5", "--no-report", *more, cwd=folder, check=check)
    return done.stdout + done.stderr


def test_the_inputs_are_kept_with_their_neighbours(project: Path) -> None:
    kept = project / "runs" / "a" / INPUTS
    assert (kept / "evaluator" / "helper.py").read_text() == HELPER
    assert (kept / "space" / "space.yaml").read_text() == (project / "space.yaml").read_text()
    listed = json.loads((kept / "inputs.json").read_text())
    assert set(listed) == {"space", "evaluator"} and set(listed["evaluator"]["files"]) == {"mine.py", "helper.py"}


def test_a_moved_project_resumes(project: Path) -> None:
    moved = project.rename(project.parent / "new")
    said = resume(project.parent, run="new/runs/a")
    assert f"evaluator: found at {moved / 'mine.py'}" in said and len(read_trials(moved / "runs" / "a")) == 5


def test_a_run_alone_resumes_only_with_trust(project: Path, tmp_path: Path) -> None:
    shutil.copytree(project / "runs" / "a", tmp_path / "elsewhere" / "b")
    shutil.rmtree(project)
    said = resume(tmp_path, run="elsewhere/b", check=2)
    assert "evaluator: " in said and "is no longer there" in said and "--trust-code" in said
    assert not (tmp_path / "elsewhere" / "b" / INPUTS / "evaluator" / "ran").exists()
    said = resume(tmp_path, "--trust-code", run="elsewhere/b")
    assert "space.yaml' is no longer there; the run's own copy is used" in said
    assert len(read_trials(tmp_path / "elsewhere" / "b")) == 5


def test_an_edited_evaluator_is_told(project: Path) -> None:
    (project / "helper.py").write_text(HELPER.replace("0.01", "0.02"))
    said = resume(project, check=2)
    assert "has changed since this run began (helper.py edited)" in said and "--accept-changes" in said
    assert len(read_trials(project / "runs" / "a")) == 3
    assert "the change is accepted" in resume(project, "--accept-changes")
    kept = project / "runs" / "a" / INPUTS
    assert "0.02" in (kept / "evaluator" / "helper.py").read_text()
    assert "0.01" in (kept / "evaluator-1" / "helper.py").read_text()
    assert "has changed" not in resume(project, "--trials", "6")


def test_a_comment_in_a_space_is_no_change(project: Path) -> None:
    path = project / "space.yaml"
    path.write_text("# a comment\n" + path.read_text())
    assert "has changed" not in resume(project)


def test_failed_trials_are_run_again_after_mending(project: Path) -> None:
    shutil.rmtree(project / "runs")
    (project / "helper.py").write_text("def score(architecture):\n    return 66.3\n")
    said = search(project, "--space", "space.yaml", check=1)
    assert "expected a fraction from 0 to 1, got 66.3 (a percentage? Divide it by 100)" in said
    before = read_trials(project / "runs" / "a")
    (project / "helper.py").write_text(HELPER)
    said = run_nas("search", "--resume", "runs/a", "--no-report", cwd=project).stdout
    assert "3 failed trials will be run again" in said
    after = read_trials(project / "runs" / "a")
    assert [row["status"] for row in after] == ["ok"] * 3
    assert sorted((row["number"], row["genes"]) for row in after) == sorted(
        (row["number"], row["genes"]) for row in before
    )
    assert len((project / "runs" / "a" / "failed.jsonl").read_text().splitlines()) == 3


@pytest.mark.slow
def test_some_failed_trials_are_run_again_with_an_edited_evaluator(project: Path) -> None:
    shutil.rmtree(project / "runs")
    (project / "helper.py").write_text(
        "def score(architecture):\n    if sum(architecture.genes) % 2:\n        raise ValueError('odd')\n"
        "    return 0.5\n"
    )
    search(project, "--space", "space.yaml", "--trials", "8", "--seed", "1")
    before = {row["number"]: row for row in read_trials(project / "runs" / "a")}
    assert {row["status"] for row in before.values()} == {"ok", "failed"}
    (project / "helper.py").write_text(HELPER)
    run_nas("search", "--resume", "runs/a", "--no-report", "--accept-changes", cwd=project)
    after = {row["number"]: row for row in read_trials(project / "runs" / "a")}
    assert {row["status"] for row in after.values()} == {"ok"} and len(after) == 8
    for number, row in before.items():
        assert after[number]["genes"] == row["genes"]
        assert (after[number] == row) == (row["status"] == "ok")


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """Somebody else's run, with a space and an evaluator of Python code that leave a mark where they run."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    mark = f"open({str(tmp_path / 'ran')!r}, 'w').close()\n\n\n"
    (folder / "mine.py").write_text(
        mark
        + SPACE
        + "\n\n"
        + EVALUATOR.replace("import helper\n", "").replace(
            "helper.score(architecture)", "0.5 + 0.01 * sum(architecture.genes)"
        )
    )
    search(folder, "--space", "mine.py:Space")
    (tmp_path / "ran").unlink()
    return folder / "runs" / "a"


@pytest.mark.slow
@pytest.mark.parametrize("moved", [False, True])
def test_opening_a_run_runs_none_of_its_code(foreign: Path, tmp_path: Path, moved: bool) -> None:
    if moved:
        foreign = foreign.rename(tmp_path / "got")
        shutil.rmtree(tmp_path / "theirs")
    said = run_nas("report", str(foreign), "--pictures", cwd=tmp_path).stdout
    assert "own code (space, evaluator) was not run" in said and "--trust-code" in said
    run_nas("export-study", str(foreign), "--storage", "sqlite:///study.db", cwd=tmp_path)
    run_nas("show", str(foreign), cwd=tmp_path, check=2)  # a space without stage tables has none to show
    assert not (tmp_path / "ran").exists() and (foreign / "report.html").exists()
    run_nas("export-study", str(foreign), "--storage", "sqlite:///other.db", "--trust-code", cwd=tmp_path)
    assert (tmp_path / "ran").exists()


@pytest.mark.slow
def test_a_run_remembers_its_images(tmp_path: Path) -> None:
    write_images(tmp_path / "images", {"cats": 12, "dogs": 12})
    (tmp_path / "space.yaml").write_text(yaml.safe_dump(TINY_FORM))
    options = ("--space", "space.yaml", "--data", "images", "--trials", "1", "--workers", "0", "--no-report")
    settings = ("--set", "evaluator.epochs=1", "--set", "data.resolution=16")
    run_nas("search", *options, *settings, "--out", "run", cwd=tmp_path)
    stored = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["images"]
    assert stored["classes"] == {"cats": [8, 2, 2], "dogs": [8, 2, 2]}
    write_images(tmp_path / "images", {"emus": 12})
    (tmp_path / "images" / "cats" / "000.png").unlink()
    for command in (("search", "--resume", "run", "--trials", "2"), ("trust", "run", "--networks", "3")):
        said = run_nas(*command, cwd=tmp_path, check=2).stderr
        assert (
            "the images of" in said and "have changed since then: classes added: emus; 1 image of 'cats' gone" in said
        )
    assert len(read_trials(tmp_path / "run")) == 1
    shutil.rmtree(tmp_path / "images" / "emus")
    shutil.copy(tmp_path / "images" / "cats" / "001.png", tmp_path / "images" / "cats" / "000.png")
    said = run_nas("search", "--resume", "run", "--trials", "2", cwd=tmp_path, check=2).stderr
    assert "as many images as before, with other content" in said


@pytest.mark.slow
def test_weights_are_not_scored_on_images_they_have_seen(tmp_path: Path) -> None:
    write_images(tmp_path / "images", {"cats": 40, "dogs": 40})
    network = {**TINY_FORM, "stages": [{k: v[0] if isinstance(v, list) else v for k, v in stage.items()}
                                       for stage in TINY_FORM["stages"]]}  # fmt: skip
    (tmp_path / "net.yaml").write_text(yaml.safe_dump(network))
    common = ("net.yaml", "--data", "images", "--recipe", "small-images", "--epochs", "1", "--resolution", "16")
    run_nas("train", *common, "--out", "first", cwd=tmp_path)
    run_nas("train", *common, "--init", "first", "--seed", "2", "--out", "second", cwd=tmp_path)
    for given in ("first", "second"):
        said = run_nas(
            "train", *common, "--init", given, "--set", "data.split_seed=1", "--out", "x", cwd=tmp_path, check=2
        ).stderr
        assert "--init: about" in said and "trained on (another split of the same images)" in said
    scores = [json.loads((tmp_path / name / "result.json").read_text())["images"] for name in ("first", "second")]
    assert scores[0] == scores[1]
