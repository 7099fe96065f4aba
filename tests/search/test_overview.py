"""Lists of runs, two runs side by side, several on one page, and what one run takes over from another."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nas.core.records import Architecture, Trial
from nas.search.overview import RunSummary, differences, find_runs
from nas.search.warm_start import gain_words
from tests.conftest import write_images
from tests.toys import TOY_EVALUATORS, read_trials, run_nas

TINY = ("--space", "own-images", "--workers", "0", "--set", "data.resolution=16", "--set", "evaluator.epochs=1")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with runs on two sets of images and one with an evaluator of the user's own."""
    folder = tmp_path_factory.mktemp("place")
    write_images(folder / "images", {"a": 40, "b": 41})
    write_images(folder / "others", {"a": 50, "b": 41})
    (folder / "toys.py").write_text(TOY_EVALUATORS)
    for name, data in (("one", "images"), ("two", "others")):
        options = ("--data", data, "--target-flops", "6M", "--trials", "3", *TINY)
        run_nas("search", *options, "--out", f"runs/{name}", cwd=folder)
    own = ("--evaluator", "toys.py:Sine", "--space", "small-images", "--trials", "5", "--workers", "0")
    run_nas("search", *own, "--out", "runs/deeper/three", cwd=folder)
    (folder / "runs" / "broken").mkdir()
    (folder / "runs" / "broken" / "trials.jsonl").write_text("{}\n")
    (folder / "runs" / "broken" / "config.yaml").write_text("space: 3\n")
    return folder


def test_runs_lists_every_run_and_says_what_is_left_out(place: Path) -> None:
    shown = run_nas("runs", "runs", cwd=place)
    assert "5.40M to 6.00M MACs" in shown.stdout
    for text in (
        "runs/one",
        "runs/two",
        "runs/deeper/three",
        "own-images",
        "ended",
        "predictor",
    ):
        assert text in shown.stdout
    assert "runs/broken is left out" in shown.stdout + shown.stderr
    rows = json.loads(run_nas("runs", "runs", "--json", cwd=place).stdout)
    assert [Path(row["path"]).name for row in rows] == ["three", "one", "two"]
    for row in rows:
        assert row["state"] == "ended" and row["trials"] in (3, 5) and 0 <= row["accuracy"] <= 1
        assert row["control"] is None and row["seconds"] >= 0
    assert "no runs in 'images'" in run_nas("runs", "images", cwd=place).stdout
    assert "'nowhere' is not a folder" in run_nas("runs", "nowhere", cwd=place, check=2).stderr


def test_two_runs_side_by_side_say_why_they_do_not_compare(place: Path) -> None:
    shown = run_nas("compare", "runs/one", "runs/two", cwd=place)
    assert "their accuracies do not compare: other images: 10 images of 'a' added" in shown.stdout
    found = json.loads(run_nas("compare", "runs/one", "runs/two", "--json", cwd=place).stdout)
    assert len(found["runs"]) == 2 and len(found["not_comparable"]) == 1
    same = [RunSummary.read(place / "runs" / "one")] * 2
    assert differences(*same) == []
    assert find_runs(place / "runs" / "one") == [place / "runs" / "one"]


def test_several_runs_make_one_page(place: Path) -> None:
    run_nas("report", "runs/one", "runs/two", "runs/deeper/three", "--out", "all.html", cwd=place)
    page = (place / "all.html").read_text()
    for text in ("3 runs", "What does not compare", "one and two: other images", "best accuracy so far", "own-images"):
        assert text in page
    assert "--pictures" in run_nas("report", "runs/one", "runs/two", "--pictures", cwd=place, check=2).stderr


@pytest.mark.slow
def test_of_a_run_on_other_images_only_the_order_is_taken_over(place: Path) -> None:
    options = ("--data", "images", "--target-flops", "6M", "--trials", "4", "--warm-start", "runs/two", *TINY)
    shown = run_nas("search", *options, "--out", "warm", cwd=place).stdout
    assert "'" + str(place / "runs" / "two") + "' has other images" in shown and "2 best networks" in shown
    earlier = sorted(read_trials(place / "runs" / "two"), key=lambda trial: -trial["reward"])
    begun = sorted(read_trials(place / "warm"), key=lambda trial: trial["number"])
    assert [trial["genes"] for trial in begun[:2]] == [trial["genes"] for trial in earlier[:2]]
    assert "Warm start: 2 networks from" in shown and "best of all others" in shown
    again = run_nas("search", "--resume", "warm", "--trials", "5", cwd=place).stdout
    genes = [tuple(trial["genes"]) for trial in read_trials(place / "warm")]
    assert len(set(genes)) == 5 and "Warm start" in again


@pytest.mark.slow
def test_of_a_run_on_the_same_images_the_accuracies_are_taken_over(place: Path) -> None:
    options = ("--data", "images", "--target-flops", "6M", "--trials", "2", "--warm-start", "runs/one", *TINY)
    shown = run_nas("search", *options, "--out", "same", cwd=place).stdout
    assert "other images" not in shown and len(read_trials(place / "same")) == 2


def test_gains_are_said_against_the_first_others() -> None:
    def trial(number: int, gene: int, accuracy: float) -> Trial:
        return Trial(number, Architecture("s", (gene,)), "ok", {"accuracy": accuracy}, accuracy)

    trials = [trial(0, 3, 0.8), trial(1, 5, 0.7), trial(2, 1, 0.5), trial(3, 2, 0.6), trial(4, 4, 0.9)]
    words = gain_words(trials, [Architecture("s", (3,)), Architecture("s", (5,))], "runs/a")
    assert words == (
        "Warm start: 2 networks from runs/a, best 80.0%, mean 75.0%; the first 2 other networks: mean 55.0%; best of "
        "all others 90.0%"
    )
    assert gain_words([], [Architecture("s", (3,))], "runs/a") == ""
