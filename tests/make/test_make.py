"""``nas make``: the whole way inside one time budget, killed in each of its phases."""

from __future__ import annotations

import json
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from nas.cli.app import app
from nas.core.documents import read_yaml
from nas.core.errors import InputError
from nas.evaluate.data.load import find_source
from nas.evaluate.data.sides import typical_side
from nas.make.config import DEVICES, MakeConfig, sensible_resolution
from nas.make.plan import CONFIRM, CONFIRM_FACTOR, SEARCH, make_plan, reserve_s
from nas.make.session import with_budget
from tests.toys import run_nas, start_nas

OPTIONS = ("--data", "images", "--target-flops", "1M", "--resolution", "16", "--workers", "0")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Three classes of JPEG and PNG files of odd sizes."""
    generator = np.random.default_rng(0)
    for channel, name in enumerate(("one", "two", "three")):
        (tmp_path / "images" / name).mkdir(parents=True)
        for index in range(50):
            height, width = generator.integers(17, 41, 2)
            pixels = generator.integers(0, 120, (height, width, 3), dtype=np.uint8)
            pixels[..., channel] += 100
            Image.fromarray(pixels).save(tmp_path / "images" / name / f"{index}.{'jpg' if index % 2 else 'png'}")
    return tmp_path


def check_made(folder: Path, minutes: float) -> None:
    result = json.loads((folder / "result.json").read_text())
    low, high = result["interval"]
    assert low <= result["accuracy"] <= high and result["macs"] <= 1e6
    assert result["control"]["verdict"] and result["trials"] >= 1
    assert result["seconds"]["all"] < 60 * minutes + 45  # the last epoch, export and page may take longer
    for name in ("model.py", "network.yaml", "README.md", "weights.safetensors"):
        assert (folder / "exported" / name).is_file()
    assert list((folder / "exported").glob("*.onnx"))
    page = (folder / "report.html").read_text()
    for text in ("Is it worth it?", "Confusion matrix", "Learning curves", "How the time was used", "95% interval"):
        assert text in page


@pytest.mark.slow
def test_the_whole_way_from_mixed_files_of_odd_sizes(images: Path) -> None:
    shown = run_nas("make", *OPTIONS, "--minutes", "1", "--out", "mine", cwd=images).stdout
    check_made(images / "mine", 1)
    for text in ("Test accuracy", "Worth it?", "95% interval", "show differences between networks of about", "nas cam"):
        assert text in shown
    again = run_nas("make", "--resume", "mine", "--json", cwd=images)  # all phases are done
    assert json.loads(again.stdout)["accuracy"] == json.loads((images / "mine" / "result.json").read_text())["accuracy"]
    searched = read_yaml(images / "mine" / "search" / "config.yaml")
    assert searched["objective"]["alpha"] == 0 and searched["evaluator"]["epochs"] >= 2
    (images / "mine" / "report.html").unlink()
    run_nas("report", "mine", cwd=images)
    check_made(images / "mine", 1)
    assert "mine" in run_nas("make", *OPTIONS, "--minutes", "1", "--out", "mine", cwd=images, check=2).stderr


@pytest.mark.slow
def test_it_starts_from_the_networks_of_an_earlier_one(images: Path) -> None:
    run_nas("make", *OPTIONS, "--minutes", "0.5", "--no-export", "--out", "first", cwd=images)
    shutil.copytree(images / "images", images / "others")
    (images / "others" / "one" / "0.png").unlink()  # so the images differ
    options = ("--data", "others", *OPTIONS[2:], "--minutes", "0.5", "--no-export")
    shown = run_nas("make", *options, "--warm-start", "first", "--out", "second", cwd=images).stdout
    assert "has other images" in shown and "Warm start: " in shown
    first, second = (
        [json.loads(line) for line in (images / name / "search" / "trials.jsonl").read_text().splitlines()]
        for name in ("first", "second")
    )
    best = max((trial for trial in first if trial["reward"] is not None), key=lambda trial: trial["reward"])
    assert second[0]["genes"] == best["genes"]


def killed_when(images: Path, name: str, reached: Callable[[Path], bool]) -> None:
    """Kill the program as soon as it has reached a phase, and go on to the end."""
    process = start_nas("make", *OPTIONS, "--minutes", "0.5", "--out", name, cwd=images)
    end = time.monotonic() + 200
    while not reached(images / name) and process.poll() is None and time.monotonic() < end:
        time.sleep(0.02)
    assert process.poll() is None, f"it ended before: {process.stdout.read() if process.stdout else ''}"
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = (images / name / "search" / "trials.jsonl").read_text() if (images / name / "search").is_dir() else ""
    run_nas("make", "--resume", name, cwd=images)
    check_made(images / name, 1.5)
    assert (images / name / "search" / "trials.jsonl").read_text().startswith(done)


PHASES: dict[str, Callable[[Path], bool]] = {
    "control": lambda folder: (folder / "search" / "control.jsonl").is_file(),
    "search": lambda folder: (
        (folder / "search" / "trials.jsonl").is_file() and bool((folder / "search" / "trials.jsonl").read_text())
    ),
    "confirmation": lambda folder: (folder / "search" / "confirm.jsonl").is_file(),
    "training": lambda folder: (folder / "trained" / "history.csv").is_file(),
    "export": lambda folder: (folder / "exported").is_dir(),
}


@pytest.mark.slow
@pytest.mark.parametrize("phase", PHASES)
def test_killed_in_a_phase_it_goes_on(images: Path, phase: str) -> None:
    killed_when(images, phase, PHASES[phase])


def test_plans_fit_the_time() -> None:
    plan = make_plan(1800, 1.2, 2)
    assert plan.search_s == SEARCH * 1800 and plan.trials >= 20 and plan.epochs >= 5
    spent = plan.trials * plan.epochs * 1.2 / 2
    assert spent < plan.search_s
    assert 3 * plan.candidates * CONFIRM_FACTOR * plan.epochs * 1.2 / 2 < CONFIRM * 1800
    assert 0 < reserve_s(1800, False) < reserve_s(1800, True) < 0.1 * 1800
    spare = make_plan(1800, 0.8, 2, most_epochs=300)  # 240 s would do for the full training
    assert spare.search_s > 2 * SEARCH * 1800 and spare.confirm_s > 2 * CONFIRM * 1800
    assert spare.search_s + spare.confirm_s + 240 + reserve_s(1800, True) < 1800
    assert make_plan(1800, 0.8, 2, most_epochs=10_000) == make_plan(1800, 0.8, 2)
    short = make_plan(300, 1.2, 2)
    assert short.epochs < plan.epochs and short.candidates <= plan.candidates


def test_too_few_minutes_are_refused_with_the_numbers() -> None:
    with pytest.raises(InputError, match=r"--minutes: an epoch .* takes about 9 s .* need at least \d+ minutes, got 4"):
        make_plan(240, 9.0, 2)


@pytest.mark.parametrize("side", [16, 33, 48, 96, 500, 4000])
@pytest.mark.parametrize("target", [1e6, 5e6, 20e6, 50e6, 400e6, None])
def test_resolutions_are_no_larger_than_the_images(side: int, target: float | None) -> None:
    found = sensible_resolution(side, target)
    assert 16 <= found <= max(16, min(side, 224))
    assert found >= sensible_resolution(side, 1e6)


def test_the_side_of_images_is_read_from_their_headers(images: Path) -> None:
    assert 17 <= typical_side(find_source(str(images / "images"))) <= 41
    assert typical_side(find_source("digits")) == 8


def test_device_classes_stand_for_budgets() -> None:
    for name in DEVICES:
        made = with_budget(MakeConfig.model_validate({"data": {"source": "digits"}, "device_class": name}))
        assert made.objective.target_flops is not None
    assert made.objective.target_flops == 400e6
    own = {"data": {"source": "digits"}, "device_class": "gpu", "objective": {"target_flops": "7M"}}
    assert with_budget(MakeConfig.model_validate(own)).objective.target_flops == 7e6
    with pytest.raises(InputError, match=r"what may the network cost\? Give --target-flops .* --for"):
        with_budget(MakeConfig.model_validate({"data": {"source": "digits"}}))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--target-flops", "1M"), "--data is missing"),
        (("--data", "images"), "what may the network cost?"),
        (("--data", "images", "--for", "toaster"), "phone"),
        (("--data", "images", "--for", "phone", "--minutes", "0"), "minutes"),
        (("--data", "nowhere", "--for", "phone"), "nowhere' does not exist"),
        ((*OPTIONS, "--warm-start", "gone"), "warm_start: expected a run directory, but '"),
        (("--resume", "images"), "has no make.yaml"),
        (("--resume", "images", "--minutes", "3"), "leave out --minutes"),
        (("--data", "images", "--for", "phone", "--set", "data.resolution=9"), "give that"),
        ((*OPTIONS, "--minutes", "0.05"), "--minutes: an epoch of a network of this budget takes about"),
    ],
)
def test_mistakes_are_told_in_one_message(
    images: Path, arguments: tuple[str, ...], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(images)
    result = CliRunner().invoke(app, ["make", *arguments])
    assert result.exit_code == 2, result.output
    assert told in result.stderr and result.stderr.count("error") == 1
    assert not list(images.glob("made/*"))  # nothing is left behind


@pytest.mark.slow
def test_a_folder_that_can_show_nothing_is_refused_with_its_number(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "few" / name).mkdir(parents=True)
        for index in range(12):
            Image.new("RGB", (20, 20), (index, 0, 0)).save(tmp_path / "few" / name / f"{index}.png")
    result = run_nas("make", "--data", "few", "--target-flops", "1M", "--out", "mine", cwd=tmp_path, check=2)
    assert "test images show only differences of" in result.stderr
