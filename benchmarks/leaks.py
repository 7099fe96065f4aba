"""Leaks over hundreds of short trials: memory and open files of the driver and of each worker.

    python -m benchmarks.leaks --trials 500 --workers 2

Runs a real search on a small space, measures its processes every second, and prints their memory and open files after a
tenth of the trials and at the end. The working sets of the trials differ, so changes of a few percent mean nothing.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

Held = dict[str, tuple[float, int]]
SPACE = """
name: leaks
resolution: 16
classes: 10
stem: {op: conv, kernel: 3, stride: 2, channels: 8}
stages:
  - {op: mbconv, expand: [1, 2, 3, 4], kernel: [3, 5], stride: 1, channels: [8, 12], layers: [1, 2], se: [0, 0.25]}
  - {op: mbconv, expand: [1, 2, 3, 4], kernel: [3, 5], stride: 2, channels: [16, 24], layers: [1, 2], se: [0, 0.25]}
head: {channels: 32}
"""


def held(driver: psutil.Process) -> Held:
    """Return resident memory in MB and the number of open files, of the driver and of each worker by process id."""
    found = {"driver": _of(driver)}
    for child in driver.children(recursive=True):
        try:
            if "ray::_RayWorker" in " ".join(child.cmdline()):
                found[f"worker {child.pid}"] = _of(child)
        except psutil.Error:
            continue
    return found


def _of(process: psutil.Process) -> tuple[float, int]:
    return process.memory_info().rss / 1e6, process.num_fds()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=500)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--fidelity", choices=("full", "asha"), default="full")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "space.yaml").write_text(SPACE)
        search = ["search", "--space", "space.yaml", "--data", "digits", "--controller", "random", "--out", "run"]
        numbers = ["--trials", str(arguments.trials), "--workers", str(arguments.workers)]
        sets = ["data.resolution=16", "data.fraction=0.1", "evaluator.epochs=2"]
        command = [sys.executable, "-m", "nas", *search, *numbers, "--fidelity", arguments.fidelity]
        command += [part for item in sets for part in ("--set", item)]
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
        driver = psutil.Process(process.pid)
        journal = Path(folder) / "run" / "trials.jsonl"
        first: Held = {}
        last: Held = {}
        first_count = last_count = 0
        while process.poll() is None:
            count = journal.read_bytes().count(b"\n") if journal.exists() else 0
            if arguments.trials // 10 <= count < arguments.trials:
                last, last_count = held(driver), count
                if not first:
                    first, first_count = last, count
            time.sleep(1)
        assert process.returncode == 0, f"the search ended with {process.returncode}"
    print(f"{arguments.trials} trials, {arguments.workers} workers, {arguments.fidelity}")
    for name, (before_mb, before_files) in first.items():
        after_mb, after_files = last.get(name, (float("nan"), -1))
        print(
            f"{name:<16} {before_mb:7.1f} MB and {before_files:3d} files after {first_count} trials, "
            f"{after_mb:7.1f} MB ({after_mb / before_mb - 1:+.1%}) and {after_files:3d} files after {last_count}"
        )


if __name__ == "__main__":
    main()
