"""Small spaces, evaluators and helpers that many tests use."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.core.callback import Callback

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class PlainSpace:
    """A space of option indices that stand for nothing else."""

    name: str
    gene_sizes: tuple[int, ...]


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
    reads_genes = True
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

class Hungry:
    """Every other trial takes 300 MB."""
    calls = 0
    def evaluate(self, architecture, network):
        self.calls += 1
        if self.calls % 2 == 0:
            held = b"x" * 300_000_000
            end = time.monotonic() + 30
            while time.monotonic() < end:
                time.sleep(0.01)
        return {"accuracy": 0.5}

class BrokenGpu:
    def evaluate(self, architecture, network):
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

class Paused:
    """Leaves a file where a training would leave its weights."""
    def evaluate(self, architecture, network, epochs=9, checkpoint=None, pause=False):
        found = checkpoint is not None and checkpoint.exists()
        if pause:
            checkpoint.parent.mkdir(parents=True, exist_ok=True)
            checkpoint.write_text("weights")
        return {"accuracy": 0.5, "epochs": epochs, "found": found}

class Gated:
    """Says that it began, and waits for leave to end."""
    def __init__(self, folder="."):
        self.folder = folder
    def evaluate(self, architecture, network):
        open(os.path.join(self.folder, f"began-{os.getpid()}"), "w").close()
        while not os.path.exists(os.path.join(self.folder, "open")):
            time.sleep(0.05)
        return {"accuracy": 0.5}

class KilledAlways:
    def evaluate(self, architecture, network):
        os.kill(os.getpid(), signal.SIGKILL)
'''

TOY_CONTROLLERS = '''
import random

from nas.core.callback import Callback
from nas.controllers.controller import Controller
from nas.controllers.regularized_evolution import RegularizedEvolution
from nas.core.records import Architecture

class Good(Controller):
    """Changes the best network so far in one gene."""
    def __init__(self, task, seed, *, first=5):
        super().__init__(task, seed)
        self.first, self.best, self.told = first, None, 0
    def propose(self):
        if self.told < self.first or self.best is None:
            return self.domain.sample(self.generator)
        genes = list(self.best[1])
        gene = int(self.generator.integers(len(genes)))
        genes[gene] = int(self.generator.integers(self.domain.space.gene_sizes[gene]))
        return self.architecture(genes)
    def learn(self, trial):
        self.told += 1
        if trial.reward is not None and (self.best is None or trial.reward > self.best[0]):
            self.best = (trial.reward, list(trial.architecture.genes))
    def own_state(self):
        return {"best": self.best, "told": self.told}
    def load_own_state(self, state):
        self.best, self.told = state["best"], state["told"]

class Forgetful(Good):
    def own_state(self):
        return {"best": None, "told": self.told}

class Global(Controller):
    def propose(self):
        return self.architecture(random.randrange(size) for size in self.domain.space.gene_sizes)

class Deaf(Controller):
    def __init__(self, task, seed):
        super().__init__(task, 0)
    def propose(self):
        return self.domain.sample(self.generator)

class Fragile(Good):
    def learn(self, trial):
        self.best = (float(trial.reward), list(trial.architecture.genes))

class Hashing(Controller):
    def propose(self):
        for _ in range(hash("salted") % 1009):
            self.generator.random()
        return self.domain.sample(self.generator)

class Repeating(Good):
    def ask(self, count):
        if self.told <= 20:
            return super().ask(count)
        return [self.architecture(self.best[1])] * count

class Odd(Good):
    def own_state(self):
        return {"best": {1, 2}}

class Lazy(Good):
    def ask(self, count):
        return super().ask(count) if self.told < 23 or len(self.domain.space.gene_sizes) > 4 else []

class Crashing(Good):
    def propose(self):
        return 1 / 0

class Late(Good):
    """Random for sixty trials, then it climbs; what it learned is lost in a restart."""
    def propose(self):
        return self.domain.sample(self.generator) if self.told < 60 else super().propose()
    def own_state(self):
        return {"best": None, "told": self.told}

class Looked(Good):
    """Learns only of what was seen by own_state."""
    seen = 0
    def propose(self):
        if self.seen:
            self.generator.random()
        return super().propose()
    def own_state(self):
        self.seen = 1
        return super().own_state()

class Plain(Good):
    def propose(self):
        return list(super().propose().genes)

class Halves(Good):
    def propose(self):
        return Architecture(self.domain.space.name, tuple(0.5 for _ in super().propose().genes))

class Leaving(Good):
    def learn(self, trial):
        raise SystemExit(3)

class Silent(Controller):
    """Proposes nothing of its own."""
    def propose(self):
        return None

class Askless(Good):
    def ask(self, count):
        return None

class Wide(RegularizedEvolution):
    """Has defaults of its own."""
    def __init__(self, task, seed, *, population=100):
        super().__init__(task, seed, population=population, sample=30)

class Unfit(Good):
    @classmethod
    def fitted(cls, trials, given):
        return {"first": 1 / 0}

class NoController:
    pass

class Unfinished(Controller):
    pass

class Greedy(Good):
    def __init__(self, task, seed, how_much):
        super().__init__(task, seed)
'''


def run_nas(
    *arguments: str | Path, cwd: Path, check: int | None = 0, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the real command line in a process of its own; new searches draw no page and train no control.

    Tests that need one of the two say ``--report`` or ``--control``.
    """
    new = arguments[:1] == ("search",) and not {"--resume", "--help"} & set(arguments)
    left_out = [f"--no-{name}" for name in ("report", "control") if new and f"--{name}" not in arguments]
    process = subprocess.Popen(
        [sys.executable, "-m", "nas", *map(str, arguments), *left_out],
        cwd=cwd,
        env={**os.environ, "COLUMNS": "160", "PYTHONFAULTHANDLER": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        output, errors = process.communicate(timeout=240)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)  # prints where every thread stands
        output, errors = process.communicate(timeout=30)
        raise AssertionError(f"it hangs\n{output}\n{errors}") from None
    result = subprocess.CompletedProcess(process.args, process.returncode, output, errors)
    if check is not None:
        assert result.returncode == check, f"exit {result.returncode}\n{result.stdout}\n{result.stderr}"
    assert "Traceback" not in result.stderr or "error: the first" in result.stderr, result.stderr
    return result


def read_trials(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "trials.jsonl").read_text().splitlines()]


def comparable(run: Path) -> list[dict[str, Any]]:
    """A journal without what differs between equal runs: the seconds."""
    return [{key: value for key, value in trial.items() if key != "seconds"} for trial in read_trials(run)]


class Heard(Callback):
    """Keeps what a callback hears."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.warnings: list[str] = []
        self.epochs: list[Mapping[str, Any]] = []

    def warning(self, text: str) -> None:
        self.warnings.append(text)

    def message(self, text: str) -> None:
        self.messages.append(text)

    def epoch_finished(self, row: Mapping[str, Any]) -> None:
        self.epochs.append(row)


def start_nas(*arguments: str, cwd: Path, stderr: int = subprocess.STDOUT) -> subprocess.Popen[str]:
    """Start the real program in a session of its own, with its output in a pipe.

    It can be interrupted even where the tests run in the background, where SIGINT is ignored.
    """
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "nas", *arguments],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
