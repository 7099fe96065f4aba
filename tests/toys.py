"""Small spaces, evaluators and helpers that many tests use."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent

TINY_FORM: dict[str, Any] = {
    "name": "tiny",
    "resolution": 16,
    "classes": 10,
    "stem": {"op": "conv", "kernel": 3, "stride": 2, "channels": 8},
    "stages": [
        {"op": "mbconv", "expand": [1, 2], "kernel": [3, 5], "stride": 1, "channels": 8, "layers": [1, 2], "se": 0},
        {"op": "mbconv", "expand": 2, "kernel": 3, "stride": 2, "channels": [8, 16, 24], "layers": 1, "se": [0, 0.25]},
    ],
    "head": {"channels": 32},
}

TOY_EVALUATORS = '''
import os, signal, time

class Sine:
    """An instant score that depends on the genes alone."""
    def __init__(self, delay=0.0):
        self.delay = delay
    def evaluate(self, architecture, network):
        import math
        time.sleep(self.delay)
        return {"accuracy": 0.5 + 0.4 * math.sin(sum((i + 1) * g for i, g in enumerate(architecture.genes))) ** 2}

class Uneven(Sine):
    """Takes longer for some genotypes, so that trials end out of order."""
    def evaluate(self, architecture, network):
        time.sleep(0.15 * (sum(architecture.genes) % 3))
        return super().evaluate(architecture, network)

class Jittery(Sine):
    """Takes a time that nothing decides, so that trials end in another order each time."""
    def evaluate(self, architecture, network):
        time.sleep(0.3 * int.from_bytes(os.urandom(1), "big") / 255)
        return super().evaluate(architecture, network)

class Broken:
    def evaluate(self, architecture, network):
        return {"accuracy": 1 / 0}

class Faulty:
    """Every kind of fault, by trial: the seed tells them apart."""
    def __init__(self, folder="."):
        self.folder = folder
    def evaluate(self, architecture, network, seed):
        index = len(os.listdir(self.folder))
        open(os.path.join(self.folder, f"{seed}-{os.getpid()}"), "w").close()
        if index == 1:
            return {"accuracy": float("nan")}
        if index == 2:
            raise MemoryError("no room")
        if index == 3:
            time.sleep(60)
        if index == 4:
            raise ValueError("an odd network")
        if index == 5:
            return {"accuracy": 66.3}
        return {"accuracy": 0.5}

class KilledOnce:
    """Kills its own process, hard, the first time it is asked."""
    def __init__(self, marker="marker"):
        self.marker = marker
    def evaluate(self, architecture, network):
        if not os.path.exists(self.marker):
            open(self.marker, "w").close()
            os.kill(os.getpid(), signal.SIGKILL)
        return {"accuracy": 0.5}

class Stubborn:
    """Cannot be stopped from within: whatever is raised, it goes on."""
    def evaluate(self, architecture, network):
        end = time.monotonic() + 300
        while time.monotonic() < end:
            try:
                time.sleep(1)
            except BaseException:
                pass

class KilledAlways:
    def evaluate(self, architecture, network):
        os.kill(os.getpid(), signal.SIGKILL)
'''


def run_nas(
    *arguments: str | Path, cwd: Path, check: int | None = 0, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the real command line in a process of its own."""
    result = subprocess.run(
        [sys.executable, "-m", "nas", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "COLUMNS": "160", **environment},
        capture_output=True,
        text=True,
        timeout=240,
    )
    if check is not None:
        assert result.returncode == check, f"exit {result.returncode}\n{result.stdout}\n{result.stderr}"
    assert "Traceback" not in result.stderr or "error: the first" in result.stderr, result.stderr
    return result


def read_trials(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "trials.jsonl").read_text().splitlines()]


def comparable(run: Path) -> list[dict[str, Any]]:
    """A journal without what differs between equal runs: the seconds."""
    return [{key: value for key, value in trial.items() if key != "seconds"} for trial in read_trials(run)]
