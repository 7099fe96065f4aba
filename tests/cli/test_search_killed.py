"""Searches that are killed, interrupted or run out of disk, in processes of their own."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from nas.report.page import write_report
from tests.toys import read_trials, run_nas, start_nas


def start(*arguments: str, cwd: Path, command: str = "search") -> subprocess.Popen[str]:
    return start_nas(command, *arguments, cwd=cwd)


def wait_for_trials(run: Path, count: int) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if (run / "trials.jsonl").exists() and len((run / "trials.jsonl").read_text().splitlines()) >= count:
            return
        time.sleep(0.05)
    raise AssertionError(f"no {count} trials in {run}")


def ray_processes(session: int) -> list[psutil.Process]:
    """Ray's processes that descend from, or were started in, one process session."""
    found = []
    for process in psutil.process_iter(["name", "cmdline"]):
        try:
            text = " ".join(process.info["cmdline"] or [process.info["name"]])
            if os.getsid(process.pid) == session and ("ray" in text or "gcs_server" in text):
                found.append(process)
        except (psutil.Error, ProcessLookupError):
            continue
    return found


def test_killed_driver_then_resumed_to_exactly_n(toys: Path) -> None:
    arguments = ("--evaluator", "toys.py:Sine", "--set", "evaluator.delay=0.3", "--workers", "2", "--trials", "14")
    driver = start(*arguments, "--no-report", "--out", "run", cwd=toys)
    wait_for_trials(toys / "run", 5)
    driver.kill()
    driver.wait()
    before = read_trials(toys / "run")
    assert 5 <= len(before) < 14
    result = run_nas("search", "--resume", "run", cwd=toys)
    after = read_trials(toys / "run")
    assert after[: len(before)] == before
    assert sorted(trial["number"] for trial in after) == list(range(14))
    assert len({tuple(trial["genes"]) for trial in after}) == 14
    assert f"{len(before)} of 14 trials are done" in result.stdout
    run_nas("search", "--resume", "run", "--trials", "17", "--workers", "1", cwd=toys)
    assert sorted(trial["number"] for trial in read_trials(toys / "run")) == list(range(17))
    assert (
        run_nas("search", "--resume", "run", "--trials", "3", cwd=toys, check=2).stderr.count("already has 17 trials")
        == 1
    )


@pytest.mark.slow
def test_killed_worker_and_nothing_is_left_behind(toys: Path) -> None:
    arguments = ("--evaluator", "toys.py:Sine", "--set", "evaluator.delay=1", "--workers", "2", "--trials", "6")
    driver = start(*arguments, "--out", "run", cwd=toys)
    wait_for_trials(toys / "run", 1)
    workers = [process for process in ray_processes(driver.pid) if "ray::_RayWorker" in " ".join(process.cmdline())]
    assert len(workers) == 2
    workers[0].kill()
    output = driver.communicate(timeout=120)[0]
    assert driver.returncode == 0, output
    assert sorted(trial["number"] for trial in read_trials(toys / "run")) == list(range(6))
    assert {trial["status"] for trial in read_trials(toys / "run")} == {"ok"}
    assert "raylet" not in output
    end = time.monotonic() + 5
    while (left := ray_processes(driver.pid)) and time.monotonic() < end:
        time.sleep(0.2)
    assert not left


@pytest.mark.parametrize("sent", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
@pytest.mark.parametrize("workers", ["0", pytest.param("2", marks=pytest.mark.slow)])
def test_interrupted_saves_and_says_how_to_go_on(toys: Path, sent: signal.Signals, workers: str) -> None:
    arguments = ("--evaluator", "toys.py:Sine", "--set", "evaluator.delay=0.3", "--workers", workers, "--trials", "99")
    driver = start(*arguments, "--out", "run", cwd=toys)
    wait_for_trials(toys / "run", 3)
    os.killpg(driver.pid, sent) if sent == signal.SIGINT else driver.send_signal(sent)
    output = driver.communicate(timeout=60)[0]
    assert driver.returncode == 130, output
    assert "Best so far: trial" in output and "nas search --resume run" in output and "Traceback" not in output
    assert (toys / "run" / "baseline.yaml").exists()
    assert json.loads((toys / "run" / "result.json").read_text())["ended"] is False
    assert "has not finished" in write_report(toys / "run")[0].read_text()
    done = len(read_trials(toys / "run"))
    run_nas("search", "--resume", "run", "--trials", str(done + 2), "--workers", "0", cwd=toys)
    assert len(read_trials(toys / "run")) == done + 2
    assert json.loads((toys / "run" / "result.json").read_text())["ended"] is True


def test_a_disk_that_fills_up_loses_nothing_that_was_written(toys: Path) -> None:
    """A limit on file sizes stands for the full disk: writing past it fails in the same way."""

    def limit_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4000, resource.RLIM_INFINITY))

    command = [sys.executable, "-m", "nas", "search", "--evaluator", "toys.py:Sine", "--trials", "30", "--workers", "0"]
    result = subprocess.run(
        [*command, "--out", "run"], cwd=toys, capture_output=True, text=True, timeout=120, preexec_fn=limit_files
    )
    assert result.returncode == 1, result.stdout + result.stderr
    assert result.stderr.count("error:") == 1 and "Traceback" not in result.stderr + result.stdout
    assert "could not be saved (File too large)" in result.stderr and "nas search --resume run" in result.stderr
    before = read_trials(toys / "run")
    assert 1 <= len(before) < 30
    run_nas("search", "--resume", "run", cwd=toys)
    assert read_trials(toys / "run")[: len(before)] == before and len(read_trials(toys / "run")) == 30


@pytest.mark.slow
def test_rays_processes_end_after_the_driver_was_killed(toys: Path) -> None:
    arguments = ("--evaluator", "toys.py:Sine", "--set", "evaluator.delay=0.3", "--workers", "2", "--trials", "99")
    driver = start(*arguments, "--out", "run", cwd=toys)
    wait_for_trials(toys / "run", 2)
    session = driver.pid
    assert ray_processes(session)
    driver.kill()
    driver.wait()
    end = time.monotonic() + 90
    while (left := ray_processes(session)) and time.monotonic() < end:
        time.sleep(1)
    assert not left
