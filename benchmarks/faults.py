"""The fault matrix: provoke each fault in a real search and print the resulting line of trials.jsonl.

    python -m benchmarks.faults

GPU faults are only simulated: an evaluator raises their errors without a GPU. All other faults are real: processes are
killed, a node of a Ray cluster is removed, the disk is full (by a limit on file sizes), images are truncated.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from PIL import Image

EVALUATORS = """
import os, signal, time

class Base:
    def __init__(self, number=2, delay=0.5):
        self.number, self.delay, self.count = number, delay, 0
    def evaluate(self, architecture, network, seed):
        self.count += 1
        time.sleep(self.delay)
        if self.count == self.number:
            self.break_down()
        return {"accuracy": 0.5 + 0.001 * (seed % 100)}
    def break_down(self):
        pass

class Killing(Base):
    # one network kills every worker that evaluates it
    def __init__(self, folder):
        super().__init__()
        self.path = os.path.join(folder, "deadly")
    def evaluate(self, architecture, network, seed):
        self.genes = str(architecture.genes)
        if os.path.exists(self.path) and open(self.path).read() == self.genes:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().evaluate(architecture, network, seed)
    def break_down(self):
        if not os.path.exists(self.path):
            with open(self.path, "w") as file:
                file.write(self.genes)
            os.kill(os.getpid(), signal.SIGKILL)

class Hanging(Base):
    def break_down(self):
        time.sleep(1000)

class Stubborn(Base):
    def break_down(self):
        end = time.monotonic() + 1000
        while time.monotonic() < end:
            try:
                time.sleep(1)
            except BaseException:
                pass

class Hungry(Base):
    def break_down(self):
        held = b"x" * 600_000_000
        time.sleep(5)

class NoMemory(Base):
    def break_down(self):
        import torch
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")

class BrokenGpu(Base):
    def break_down(self):
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

class Diverging(Base):
    def break_down(self):
        self.count = -10**9
        raise FloatingPointError("loss is nan")
"""
Outcome = tuple[str, list[dict[str, Any]]]


def nas(folder: Path, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "nas", "search", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=400, **options)


def lines(folder: Path, run: str = "run") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / run / "trials.jsonl").read_text().splitlines()]


def evaluated(kind: str, *more: str, workers: str = "1") -> Callable[[Path], Outcome]:
    """Return a function that runs a search of four trials, with an evaluator that fails in its second trial."""

    def run(folder: Path) -> Outcome:
        (folder / "faulty.py").write_text(EVALUATORS)
        fixed = ("--evaluator", f"faulty.py:{kind}", "--trials", "4", "--workers", workers, "--out", "run")
        options = ("--set", f"evaluator.folder={folder}") if kind == "Killing" else ()
        done = nas(folder, *fixed, *options, *more)
        return f"exit {done.returncode}", lines(folder)

    return run


def worker_killed_once(folder: Path) -> Outcome:
    process = begin(folder, "Base", "--set", "evaluator.delay=2", "--trials", "4", "--workers", "2")
    wait(folder, 1)
    for child in psutil.Process(process.pid).children(recursive=True):
        if "ray::_RayWorker" in " ".join(child.cmdline()):
            child.kill()
            break
    return f"exit {process.wait(timeout=200)}", lines(folder)


def driver_killed(folder: Path) -> Outcome:
    process = begin(folder, "Base", "--set", "evaluator.delay=1", "--trials", "5", "--workers", "2")
    wait(folder, 2)
    process.kill()
    process.wait()
    before = len(lines(folder))
    done = nas(folder, "--resume", "run")
    return f"killed after {before}, resumed: exit {done.returncode}", lines(folder)


def node_lost(folder: Path) -> Outcome:
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    node = cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    process = begin(
        folder, "Base", "--set", "evaluator.delay=5", "--trials", "6", "--workers", "2", "--address", cluster.address
    )
    wait(folder, 1)
    time.sleep(1)
    cluster.remove_node(node, allow_graceful=False)
    status = process.wait(timeout=300)
    cluster.shutdown()
    log = (folder / "run" / "run.log").read_text()
    moved = sum("is run again" in line for line in log.splitlines())
    return f"exit {status}, {moved} trials run again", lines(folder)


def disk_full(folder: Path) -> Outcome:
    (folder / "faulty.py").write_text(EVALUATORS)
    fixed = ("--evaluator", "faulty.py:Base", "--set", "evaluator.delay=0", "--trials", "30", "--workers", "0")
    done = nas(
        folder,
        *fixed,
        "--out",
        "run",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4000, resource.RLIM_INFINITY)),
    )
    before = len(lines(folder))
    again = nas(folder, "--resume", "run")
    said = done.stderr.strip().splitlines()[-1][-160:]
    return f"exit {done.returncode} after {before} ({said}); resumed: exit {again.returncode}", lines(folder)


def images_vanish(folder: Path) -> Outcome:
    generator = np.random.default_rng(0)
    for name in ("a", "b"):
        (folder / "images" / name).mkdir(parents=True)
        for index in range(60):
            pixels = generator.integers(0, 255, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "images" / name / f"{index}.png")
    cache = folder / "cache"
    environment = {**os.environ, "NAS_CACHE": str(cache)}
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "nas", "search", "--space", "small-images", "--data", "images", "--workers", "1"),
            *("--trials", "200", "--set", "evaluator.epochs=1", "--out", "run"),
        ],
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait(folder, 2)
    for file in cache.rglob("*.images.npy"):  # truncated, so that mapped pages are lost, too
        os.truncate(file, 200)
    said = process.communicate(timeout=300)[1].strip().splitlines()[-1]
    before = len(lines(folder))
    shutil.rmtree(cache)
    again = subprocess.run(
        [sys.executable, "-m", "nas", "search", "--resume", "run", "--trials", str(before + 2)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return f"exit {process.returncode} after {before} ({said[-150:]}); resumed: exit {again.returncode}", lines(folder)


def begin(folder: Path, kind: str, *arguments: str) -> subprocess.Popen[bytes]:
    (folder / "faulty.py").write_text(EVALUATORS)
    command = [sys.executable, "-m", "nas", "search", "--evaluator", f"faulty.py:{kind}", "--out", "run", *arguments]
    return subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )


def wait(folder: Path, count: int) -> None:
    end = time.monotonic() + 120
    while time.monotonic() < end:
        if (folder / "run" / "trials.jsonl").exists() and len(lines(folder)) >= count:
            return
        time.sleep(0.1)
    raise AssertionError("no trial ended")


FAULTS: dict[str, Callable[[Path], Outcome]] = {
    "worker killed once (SIGKILL)": worker_killed_once,
    "trial that always kills its worker": evaluated("Killing"),
    "node of the cluster lost": node_lost,
    "driver killed (SIGKILL)": driver_killed,
    "disk full": disk_full,
    "hung trial": evaluated("Hanging", "--set", "workers.trial_timeout=3"),
    "hung trial that cannot be stopped": evaluated("Stubborn", "--set", "workers.trial_timeout=3"),
    "memory limit of a trial": evaluated("Hungry", "--set", "workers.trial_memory=300MB"),
    "GPU out of memory (raised)": evaluated("NoMemory"),
    "GPU broken (raised)": evaluated("BrokenGpu"),
    "training diverges": evaluated("Diverging", workers="0"),
    "images vanish during the run": images_vanish,
}


def main() -> None:
    for name, happen in FAULTS.items():
        with tempfile.TemporaryDirectory() as folder:
            outcome, trials = happen(Path(folder))
        counts = {status: sum(trial["status"] == status for trial in trials) for status in ("ok", "failed")}
        print(f"{name}: {outcome}; {counts['ok']} ok, {counts['failed']} failed, numbers {sorted_numbers(trials)}")
        shown = [trial for trial in trials if trial["status"] != "ok"][:1] or trials[-1:]
        for trial in shown:
            kept = {key: trial[key] for key in ("number", "status", "reward", "seconds", "error")}
            print(f"    {json.dumps(kept)}", flush=True)


def sorted_numbers(trials: list[dict[str, Any]]) -> str:
    numbers = sorted(trial["number"] for trial in trials)
    whole = numbers == list(range(len(numbers)))
    return f"0..{len(numbers) - 1} each once" if whole else str(numbers)


if __name__ == "__main__":
    main()
