"""Several budgets with one supernet, as people run them."""

from __future__ import annotations

import csv
import json
import shutil
import signal
import time
from pathlib import Path

import pytest

from nas.core.documents import to_yaml
from nas.weights.file import Weights
from tests.toys import TINY_FORM, read_trials, run_nas, start_nas

SEARCH = ("search", "--supernet", "net", "--trials", "4", "--workers", "0", "--controller", "random")
TARGETS = "60K,120K"


@pytest.fixture
def place(image_folder: Path) -> Path:
    """A folder with a small supernet."""
    (image_folder.parent / "tiny.yaml").write_text(to_yaml(TINY_FORM))
    run_nas(
        "supernet", "train", "tiny.yaml", "--data", "images", "--recipe", "small-images", "--batch-size", "8",
        "--epochs", "1", "--out", "net", cwd=image_folder.parent,
    )  # fmt: skip
    return image_folder.parent


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def test_one_search_for_each_budget_and_one_front(place: Path) -> None:
    flags = ("--target-flops", TARGETS, "--tolerance", "0.4")
    shown = run_nas(*SEARCH, *flags, "--report", "--out", "runs", cwd=place).stdout
    assert "by compound scaling have none" in shown and (place / "runs" / "report.html").is_file()
    family = rows(place / "runs" / "family.csv")
    assert [row["kind"] for row in family if row["kind"] == "search"] == ["search", "search"]
    for row in family:
        assert 0 < int(row["macs"]) <= float(row["target"])
        assert (row["test_accuracy"] != "") == (row["kind"] == "search")
        assert "MACs" in run_nas("show", row["path"], cwd=place).stdout
    front = rows(place / "runs" / "front.csv")
    assert [float(row["accuracy"]) for row in front] == sorted((float(row["accuracy"]) for row in front), reverse=True)
    for row in front:
        weights = Weights.read(place / "runs" / row["weights"])
        assert weights.classes == ("blue", "green", "red")
    for run in {row["path"] for row in family if row["kind"] == "search"}:
        assert len(read_trials(place / run)) <= 4
        assert {row["weights"] for row in rows(place / run / "front.csv")} <= {
            path.relative_to(place / run).as_posix() for path in (place / run).rglob("*.safetensors")
        }
    first, last = (place / row["path"] for row in family if row["kind"] == "search")
    kept, lost = (first / "trials.jsonl").read_bytes(), (last / "trials.jsonl").read_bytes()
    shutil.rmtree(last)
    run_nas("search", "--resume", "runs", cwd=place)
    assert (first / "trials.jsonl").read_bytes() == kept and read_trials(last)[0]["genes"] == json.loads(
        lost.splitlines()[0]
    )["genes"]
    (place / "runs" / "report.html").unlink()
    assert "runs/report.html" in run_nas("report", "runs", cwd=place).stdout
    refused = run_nas("search", "--resume", "runs", "--trials", "9", cwd=place, check=2)
    assert "a search for each of several targets" in refused.stderr
    refused = run_nas(*SEARCH, *flags, "--out", "runs", cwd=place, check=2)
    assert "is not empty" in refused.stderr
    refused = run_nas(*SEARCH, "--target-flops", "4M,8G", "--out", "no", cwd=place, check=2)
    assert "holds no network with" in refused.stderr and not (place / "no").exists()
    refused = run_nas("search", "--target-flops", "300M,400M", "--out", "no", cwd=place, check=2)
    assert "several targets need --supernet" in refused.stderr and not (place / "no").exists()


@pytest.mark.slow
def test_a_family_as_json(place: Path) -> None:
    shown = run_nas(
        "supernet", "family", "net", "--targets", TARGETS, "--trials", "2", "--workers", "0", "--out", "fam",
        "--json", cwd=place,
    ).stdout  # fmt: skip
    family = json.loads(shown)
    assert [one["target"] for one in family] == sorted(one["target"] for one in family)
    assert {one["kind"] for one in family} <= {"search", "compound"} and len(family) >= 2


@pytest.mark.slow
def test_an_interrupted_search_goes_on_with_all_budgets(place: Path) -> None:
    flags = ("--target-flops", TARGETS, "--tolerance", "0.4", "--out", "runs")
    run_nas(*SEARCH, *flags[:-1], "whole", cwd=place)
    process = start_nas(*SEARCH, *flags, cwd=place)
    deadline = time.monotonic() + 120
    while not any(path.read_bytes() for path in (place / "runs").glob("*/trials.jsonl")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    run_nas("search", "--resume", "runs", cwd=place)
    for name in ("family.csv", "front.csv"):
        whole, resumed = ((place / folder / name).read_text() for folder in ("whole", "runs"))
        assert whole.replace("whole/", "runs/") == resumed
