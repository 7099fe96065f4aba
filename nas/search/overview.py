"""What a run directory holds, in one row: for lists of runs and for comparisons of two."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.core.errors import InputError
from nas.core.units import format_duration, format_quantity
from nas.evaluate.data.identity import DataIdentity
from nas.search.baseline import best_trial
from nas.search.config import RunConfig
from nas.search.config_objective import budget
from nas.search.control import control_seconds
from nas.search.result import Result
from nas.search.run_directory import read_config, read_identity, read_journal

FIELDS = ("space", "controller", "images", "budget", "best", "test", "MACs", "control", "trials", "state", "time")
NUMBERS = ("best", "test", "MACs", "trials", "time")
"""The columns of lists of runs, and those of them that hold numbers."""
_MOST_DEPTH = 3  # folders below the one that is listed


@dataclass(frozen=True)
class RunSummary:
    """A run in one row.

    Attributes:
        path: the run directory.
        config: its configuration.
        images: identity of its images; ``None`` if it trained nothing, or is older than 0.1.0.
        trials: number of finished trials.
        accuracy: accuracy of the best network, a fraction: the least biased estimate if the run has ended.
        test_accuracy: the same on the test images; ``None`` if it was not measured.
        macs: MACs of that network.
        result: the result; ``None`` if the run has not been concluded.
        seconds: seconds of all trials and control trainings.
    """

    path: Path
    config: RunConfig
    images: DataIdentity | None
    trials: int
    accuracy: float | None
    test_accuracy: float | None
    macs: float | None
    result: Result | None
    seconds: float

    @classmethod
    def read(cls, path: Path) -> RunSummary:
        """Read a run directory, which another process may be writing to.

        Raises:
            InputError: if it is not a run directory, or is damaged.
        """
        config = read_config(path)
        trials = read_journal(path, config)
        result = Result.read(path)
        if result is not None and sum(result.trials.values()) != len(trials):
            result = None  # the run was extended since
        best = best_trial(trials)
        metrics = {} if best is None else best.metrics
        return cls(
            path=path,
            config=config,
            images=read_identity(path),
            trials=len(trials),
            accuracy=result.accuracy if result else metrics.get("accuracy"),
            test_accuracy=result.test_accuracy if result else None,
            macs=result.macs if result else metrics.get("macs"),
            result=result,
            seconds=sum(trial.seconds for trial in trials) + control_seconds(path),
        )

    @property
    def name(self) -> str:
        """The name of its directory; for the search of ``nas make``, that of the folder around it."""
        path = self.path.resolve()
        return path.parent.name if path.name == "search" else path.name

    @property
    def state(self) -> str:
        """``ended``, ``interrupted``, ``running`` or ``not ended``."""
        if self.result is not None and self.result.ended:
            return "ended"
        if _is_held(self.path / "trials.jsonl"):
            return "running"
        return "interrupted" if self.result is not None else "not ended"

    @property
    def data(self) -> str:
        """The images in words: the last part of their path, and how many are trained on."""
        if not self.config.evaluator_kind.needs_data and self.images is None:
            return "none"
        name = Path(self.config.data.source).name
        if self.images is None:
            return name
        return f"{name}, {sum(counts[0] for counts in self.images.classes.values()):,} images"

    @property
    def budget(self) -> str:
        """The limits in words."""
        target = self.config.objective.target_flops
        limits = [str(limit) for limit in budget(self.config)]
        if target is not None and not any("MACs" in limit for limit in limits):
            limits.insert(0, f"about {format_quantity(target)} MACs")
        return "; ".join(limits) or "none"

    @property
    def control(self) -> str:
        """Whether the run is better than stock networks, in a few words."""
        if self.result is None or self.result.control is None:
            return "none"
        one = self.result.control
        return f"{100 * one.difference:+.1f} ± {100 * one.half_width:.1f} ({one.best})"

    def cells(self) -> tuple[str, ...]:
        """Return the values as texts, in the order of ``FIELDS``."""
        return (
            Path(self.config.space).name,
            str(self.config.controller["name"]),
            self.data,
            self.budget,
            "" if self.accuracy is None else f"{self.accuracy:.2%}",
            "" if self.test_accuracy is None else f"{self.test_accuracy:.2%}",
            "" if self.macs is None else format_quantity(self.macs),
            self.control,
            f"{self.trials:,}",
            self.state,
            format_duration(self.seconds),
        )

    def row(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        control = None if self.result is None or self.result.control is None else self.result.control
        return {
            "path": str(self.path),
            "space": self.config.space,
            "controller": self.config.controller["name"],
            "data": self.config.data.source if self.data != "none" else None,
            "budget": self.budget,
            "trials": self.trials,
            "accuracy": self.accuracy,
            "test_accuracy": self.test_accuracy,
            "macs": self.macs,
            "control": None if control is None else control.model_dump(mode="json") | {"verdict": control.verdict},
            "state": self.state,
            "seconds": round(self.seconds, 1),
        }


def find_runs(folder: Path) -> list[Path]:
    """Return the run directories in a folder and the folders below it, or the folder itself if it is one.

    Raises:
        InputError: if there is no such folder.
    """
    if not folder.is_dir():
        raise InputError(f"'{folder}' is not a folder")
    return sorted(_runs(folder, 0))


def differences(first: RunSummary, second: RunSummary) -> list[str]:
    """Return why the accuracies of two runs do not compare, in words; empty if they do."""
    told = []
    if (first.images is None) != (second.images is None):
        told.append("only one of them trained on images")
    elif first.images is not None and second.images is not None and (changed := first.images.changes_to(second.images)):
        told.append(f"other images: {changed}")
    for name, words in (("evaluator", "evaluator settings"), ("fidelity", "fidelity")):
        one, other = (getattr(run.config, name) for run in (first, second))
        if one != other:
            told.append(f"other {words}")
    if first.config.data.resolution != second.config.data.resolution:
        told.append("other resolution of the proxy's images")
    if first.config.objective.metric != second.config.objective.metric:
        told.append("another metric")
    return told


def _runs(folder: Path, depth: int) -> Iterator[Path]:
    if (folder / "trials.jsonl").is_file() and (folder / "config.yaml").is_file():
        yield folder
        return
    if depth == _MOST_DEPTH:
        return
    try:
        inside = sorted(one for one in folder.iterdir() if one.is_dir() and not one.name.startswith("."))
    except OSError:
        return
    for one in inside:
        yield from _runs(one, depth + 1)


def _is_held(path: Path) -> bool:
    """Return whether another process holds the lock of a run's journal."""
    import fcntl

    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def is_run(path: str | os.PathLike[str]) -> bool:
    """Return whether a path is a run directory."""
    return (Path(path) / "trials.jsonl").is_file() and (Path(path) / "config.yaml").is_file()
