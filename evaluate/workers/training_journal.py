"""A journal of trainings, written as they end, so that the same command continues with the missing trainings."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.core.errors import WorkError
from nas.core.journal import append_lines, read_rows
from nas.core.records import Evaluation
from nas.evaluate.contract import Job
from nas.evaluate.workers.jobs import PoolStarter, run_jobs

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Training:
    """One training of a study.

    Attributes:
        labels: plain values that, with seed and epochs, distinguish the training from the others of the study.
        job: the job that runs the training.
    """

    labels: Mapping[str, Any]
    job: Job


class TrainingJournal:
    """A file with one JSON line for each training that has ended, including failed trainings.

    A line holds the training's labels, ``seed``, ``epochs`` (``null``: the evaluator's own), ``status``, ``accuracy``
    (a fraction; ``null`` if it failed), ``seconds`` and ``error``; of trainings that are scored on the test split too,
    ``test_accuracy`` and the packed flags ``correct``.

    Args:
        path: path of the file, which may not exist yet.
        labels: the names of every training's labels.
        of: digest of everything else that decides a training (see ``digest``); lines with another digest are ignored.
            ``None``: the folder belongs to one configuration.
        images: digest of the images and their split; lines with another digest are ignored.
        resume: instruction for continuing after a fault, for error messages.
    """

    def __init__(
        self,
        path: Path,
        labels: Sequence[str],
        of: str | None = None,
        images: str | None = None,
        resume: str = "give the same command again",
    ) -> None:
        self.path, self._names, self._of, self._resume = path, (*labels, "seed", "epochs"), of, resume
        self._images = images
        rows = (row for row in read_rows(path, cut=True) if row.get("of") == of)
        self._rows: dict[str, Row] = {self._key(row): row for row in rows if row.get("images") in (None, images)}

    @property
    def rows(self) -> list[Row]:
        """The trainings that have ended, in the order of the file."""
        return list(self._rows.values())

    def row_of(self, training: Training) -> Row | None:
        """Return the line of a training that has ended; ``None`` if it has not."""
        return self._rows.get(self._key(_row(training)))

    def missing(self, trainings: Sequence[Training]) -> list[Training]:
        """Return the trainings that have not ended yet."""
        return [one for one in trainings if self._key(_row(one)) not in self._rows]

    def run(self, trainings: Sequence[Training], pool: PoolStarter, ended: Callable[[Row, int], None]) -> list[Row]:
        """Run the trainings that are missing.

        Args:
            trainings: trainings with different job numbers.
            pool: function that returns the workers; not called if no training is missing.
            ended: function called after each training with its line and the number of trainings left.

        Returns:
            The lines of all ``trainings``, in their order.

        Raises:
            WorkError: if a line cannot be written, or the images are no longer available.
        """
        missing = {one.job.number: one for one in self.missing(trainings)}

        def record(job: Job, evaluation: Evaluation) -> None:
            if evaluation.fault == "data":  # not a fault of the network, so nothing is written
                raise WorkError(f"{evaluation.error}. Put them back, then: {self._resume}")
            row = _row(missing.pop(job.number)) | {
                "status": evaluation.status,
                "accuracy": evaluation.metrics["accuracy"] if evaluation.status == "ok" else None,
                "seconds": round(evaluation.seconds, 3),
                "error": evaluation.error,
            }
            if "test_accuracy" in evaluation.metrics:
                row |= {"test_accuracy": evaluation.metrics["test_accuracy"], "correct": evaluation.correct}
            row |= {name: value for name, value in (("of", self._of), ("images", self._images)) if value is not None}
            self._append(row)
            ended(row, len(missing))

        if missing:
            run_jobs([one.job for one in missing.values()], pool(), record)
        return [self._rows[self._key(_row(one))] for one in trainings]

    def _append(self, row: Row) -> None:
        try:
            append_lines(self.path, [row])
        except OSError as error:
            raise WorkError(
                f"{self.path}: a training could not be saved ({error.strerror}); earlier trainings are safe. Free disk "
                f"space, then: {self._resume}"
            ) from None
        self._rows[self._key(row)] = row

    def _key(self, row: Row) -> str:
        return json.dumps([row.get(name) for name in self._names])


def digest(*parts: Any) -> str:
    """Return a hash of plain values, 16 hexadecimal digits, for instance of the settings of a study's trainings."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def outcome(row: Row) -> str:
    """Return the result of a training as text: its accuracy, or the reason why it failed."""
    return f"failed: {row['error']}" if row["accuracy"] is None else f"{row['accuracy']:.2%}"


def _row(training: Training) -> dict[str, Any]:
    job = training.job
    return {**training.labels, "seed": job.seed, "epochs": sum(job.cycles) or None}
