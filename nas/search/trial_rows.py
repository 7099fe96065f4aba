"""A trial as a line of ``trials.jsonl``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nas.core.documents import parse_json
from nas.core.errors import InputError
from nas.core.records import Architecture, Trial
from nas.evaluate.contract import MOST_METRIC


def trial_row(trial: Trial) -> dict[str, Any]:
    """Return a trial as the values of its line."""
    return {
        "number": trial.number,
        "genes": list(trial.architecture.genes),
        "choices": dict(trial.choices),
        "status": trial.status,
        "metrics": dict(trial.metrics),
        "reward": trial.reward,
        "seconds": trial.seconds,
        "error": trial.error,
        "space": trial.architecture.space,
    }


def parse_trial(line: bytes, space: str, where: str) -> Trial:
    """Return the trial of a line.

    Args:
        line: the line.
        space: name of the space of lines that do not name it, as those of early versions.
        where: the file and line, for the error message.

    Raises:
        InputError: if the line is not a trial.
    """
    try:
        row = parse_json(line, "the line")
        whole = all(type(gene) is int for gene in row["genes"])
        measured = all(is_number(value) for value in row["metrics"].values())
        rewarded = row["reward"] is None or (is_number(row["reward"]) and row["status"] == "ok")
        timed = (
            type(row["number"]) is int
            and row["number"] >= 0
            and is_number(row["seconds"])
            and isinstance(row["error"], str | None)
        )
        if not whole or not measured or row["status"] not in ("ok", "failed", "pruned"):
            raise ValueError("expected integer genes, numeric metrics and the status ok, failed or pruned")
        if not rewarded or not timed or not isinstance(row["choices"], dict):
            raise ValueError("expected numbers for number, reward and seconds, text for error, a mapping for choices")
        return Trial(
            number=row["number"],
            architecture=Architecture(row.get("space", space), tuple(row["genes"])),
            status=row["status"],
            metrics=row["metrics"],
            reward=row["reward"],
            seconds=row["seconds"],
            error=row["error"],
            choices=row["choices"],
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{where}: not a trial ({type(error).__name__}: {error}); remove or repair the line") from None


def unique_trials(trials: list[Trial], file: Path) -> list[Trial]:
    """Return trials after checking that no number occurs twice.

    Raises:
        InputError: naming the number.
    """
    seen: set[int] = set()
    for index, trial in enumerate(trials, start=1):
        if trial.number in seen:
            raise InputError(f"{file}, line {index}: trial {trial.number} occurs twice; remove one of its lines")
        seen.add(trial.number)
    return trials


def is_number(value: Any) -> bool:
    """Return whether a value is a number that can be drawn: finite, and not so large that pictures overflow."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= MOST_METRIC
