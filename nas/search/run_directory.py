"""A run directory: configuration, append-only journal, controller checkpoint, and files derived from them."""

from __future__ import annotations

import csv
import io
import json
import logging
import os
import shlex
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nas.core.documents import read_mapping, read_yaml, to_yaml
from nas.core.errors import InputError, WorkError, nearest_name
from nas.core.files import cannot_write, check_empty, hold, write_bytes_whole, write_whole
from nas.core.journal import append_lines, read_rows, whole_lines
from nas.core.program import program
from nas.core.records import Trial
from nas.core.version import package_version
from nas.evaluate.data.identity import DataIdentity, check_same_images
from nas.evaluate.data.settings import keep_old_split
from nas.search.config import METADATA, RunConfig, validate_config
from nas.search.inputs import keep_inputs
from nas.search.trial_rows import parse_trial, trial_row, unique_trials

FAILED = "failed.jsonl"
_log = logging.getLogger(__name__)


class Run:
    """One search's directory. Open it with ``create`` or ``open``; one process writes at a time.

    Attributes:
        path: the directory.
        config: the whole configuration as used.
        images: identity of the images that its networks are trained on; ``None`` if they are not known (yet).
        trials: finished trials in the order of the journal.
    """

    def __init__(self, path: Path, config: RunConfig, images: DataIdentity | None = None) -> None:
        self.path, self.config, self.images = path, config, images
        self._lock = hold(path / "trials.jsonl", "resume")
        self.trials: list[Trial] = read_journal(path, config, cut=True)

    @classmethod
    def create(
        cls,
        path: Path,
        config: RunConfig,
        versions: dict[str, str],
        created: str,
        images: DataIdentity | None = None,
    ) -> Run:
        """Make the directory and write its configuration.

        Raises:
            InputError: if the directory exists and is not empty.
            WorkError: if it cannot be written.
        """
        check_free(path)
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise cannot_write(path, error) from None
        metadata: dict[str, Any] = {"versions": versions, "created": created}
        if images is not None:
            metadata["images"] = images.as_dict()
        keep_inputs(path, config)
        _write_config(path, config, metadata)
        return cls(path, config, images)

    @classmethod
    def open(cls, path: Path) -> Run:
        """Open an existing directory; an incomplete last line of the journal is removed.

        Raises:
            InputError: if it is not a run directory, or another process is writing to it.
        """
        return cls(path, read_config(path), read_identity(path))

    def update_config(self, config: RunConfig) -> None:
        """Write a changed configuration, as when a run is extended."""
        data = read_yaml(self.path / "config.yaml")
        _write_config(self.path, config, {key: data[key] for key in METADATA if key in data})
        self.config = config

    def keep_images(self, images: DataIdentity) -> None:
        """Store the identity of the images, if none is stored, else check that it is the same.

        Raises:
            InputError: if the images or their split have changed since the run began.
        """
        if self.images is None:
            data = read_yaml(self.path / "config.yaml") | {"images": images.as_dict()}
            write_whole(self.path / "config.yaml", to_yaml(data))
            self.images = images
        check_run_images(self.path, self.config, self.images, images)

    @property
    def resume_command(self) -> str:
        """The command that resumes this run."""
        command = "search" if self.config.scaling is None else "scale"
        return f"{program()} {command} --resume {shlex.quote(str(self.path))}"

    def append(self, trials: Sequence[Trial]) -> None:
        """Write finished trials and fsync them together; they count only after that.

        Raises:
            WorkError: if they cannot be written; the journal is then unchanged.
        """
        path = self.path / "trials.jsonl"
        try:
            append_lines(path, [trial_row(trial) for trial in trials])
        except OSError as error:
            raise WorkError(
                f"{path}: trial {trials[0].number} could not be saved ({error.strerror}); the {len(self.trials)} "
                f"before it are safe. Free space, then: {self.resume_command}"
            ) from None
        self.trials.extend(trials)

    def set_failed_aside(self) -> None:
        """Move the failed trials to ``failed.jsonl`` and propose them again, with their numbers, when the run goes on.

        A new controller is told the trials that are left; proposals that have not ended stay.

        Raises:
            WorkError: if the files cannot be written.
        """
        failed = [trial for trial in self.trials if trial.status == "failed"]
        kept = [trial for trial in self.trials if trial.status != "failed"]
        path = self.path / "trials.jsonl"
        lines = {one.number: line for one, line in zip(self.trials, whole_lines(path), strict=True)}
        known = self.load_checkpoint(("pending",)) or {}
        pending = known["pending"] if isinstance(known.get("pending"), list) else []
        again = [[trial.number, list(trial.architecture.genes)] for trial in failed]
        numbers = {number for number, _ in again}
        pending = [*again, *(one for one in pending if not isinstance(one, list) or one[:1][0] not in numbers)]
        try:
            append_lines(self.path / FAILED, [trial_row(trial) for trial in failed])
        except OSError as error:
            raise cannot_write(self.path / FAILED, error) from None
        self.save_checkpoint({"controller": None, "told": 0, "pending": pending})
        write_bytes_whole(path, b"".join(lines[trial.number] + b"\n" for trial in kept))
        lock, self._lock = self._lock, hold(path, "resume")
        os.close(lock)
        self.trials = kept

    def append_row(self, name: str, row: Mapping[str, Any]) -> None:
        """Write a line to a journal beside the trials: ``rungs.jsonl``, ``confirm.jsonl``.

        Raises:
            WorkError: if it cannot be written.
        """
        if self.images is not None:
            row = {**row, "images": self.images.digest}
        try:
            append_lines(self.path / name, [row])
        except OSError as error:
            raise WorkError(
                f"{self.path / name}: a line could not be saved ({error.strerror}); the lines before it are safe. Free "
                f"space, then: {self.resume_command}"
            ) from None

    def rows(self, name: str) -> list[dict[str, Any]]:
        """Return the rows of a journal that ``append_row`` wrote, except those of other images."""
        own = (None, self.images and self.images.digest)
        return [row for row in read_rows(self.path / name, cut=True) if row.get("images") in own]

    def save_checkpoint(self, state: dict[str, Any]) -> None:
        """Write the state of the loop and the controller atomically."""
        write_whole(self.path / "controller.json", json.dumps(state))

    def load_checkpoint(self, keys: Sequence[str]) -> dict[str, Any] | None:
        """Return the last saved state; ``None`` if there is none, it is damaged, or it lacks one of ``keys``."""
        state = read_mapping(self.path / "controller.json")
        return state if set(keys) <= set(state) else None

    def write_front(self, front: Sequence[Trial], weights: Mapping[int, str] | None = None) -> Path:
        """Write ``front.csv``: the front's trials with their metrics, genes and choices.

        ``weights`` are the files of their inherited weights, by the trials' numbers; ``None``: there are none.
        """
        leading = {name: place for place, name in enumerate(("accuracy", "macs", "params"))}
        found = {name for trial in front for name in trial.metrics}
        names = sorted(found, key=lambda name: (leading.get(name, len(leading)), name))
        choices = list(front[0].choices) if front else []
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        kept = [] if weights is None else ["weights"]
        writer.writerow(["number", "reward", *names, *kept, "genes", *choices])
        for trial in front:
            metrics = [trial.metrics.get(name, "") for name in names]
            genes = " ".join(str(gene) for gene in trial.architecture.genes)
            own = [] if weights is None else [weights.get(trial.number, "")]
            writer.writerow([trial.number, trial.reward, *metrics, *own, genes, *trial.choices.values()])
        return self.write("front.csv", text.getvalue())

    def write(self, name: str, text: str) -> Path:
        """Write a derived file atomically and return its path."""
        write_whole(self.path / name, text)
        return self.path / name

    def read(self, name: str) -> dict[str, Any]:
        """Return a derived JSON file's content, empty if there is none."""
        return read_mapping(self.path / name)

    def discard(self) -> None:
        """Delete the directory if it holds no trial, for instance because the workers could not be reached."""
        if not self.trials:
            shutil.rmtree(self.path, ignore_errors=True)

    def close(self) -> None:
        """Release the lock, so that other processes can write to the directory."""
        os.close(self._lock)


def _write_config(path: Path, config: RunConfig, metadata: dict[str, Any]) -> None:
    data = config.model_dump(mode="json") | metadata
    write_whole(path / "config.yaml", to_yaml(data))


def check_free(path: Path) -> None:
    """Check that a new run may be written into ``path``.

    Raises:
        InputError: if it is a file or a directory that is not empty.
    """
    known = (path / "trials.jsonl").is_file()
    check_empty(path, f"{program()} {_command(path)} --resume {shlex.quote(str(path))}" if known else "")


def _command(path: Path) -> str:
    """Return the command, ``search`` or ``scale``, that began the run in a folder."""
    try:
        return "scale" if read_config(path).scaling is not None else "search"
    except InputError:
        return "search"


def read_journal(path: Path, config: RunConfig, cut: bool = False) -> list[Trial]:
    """Return the finished trials of a run directory; empty if no trial has ended.

    Args:
        path: the directory.
        config: the run's configuration.
        cut: remove an incomplete last line from the file; only the writing process may do so.

    Raises:
        InputError: naming the first line that is not a trial.
    """
    file = path / "trials.jsonl"
    lines = whole_lines(file, cut)
    return unique_trials(
        [parse_trial(line, config.space, f"{file}, line {index}") for index, line in enumerate(lines, start=1)], file
    )


def read_trials(path: Path) -> list[Trial]:
    """Read the trials of a run directory, which another process may be writing to.

    Raises:
        InputError: if it is not a run directory, or holds no trial yet.
    """
    file = path / "trials.jsonl"
    if not file.is_file():
        raise InputError(f"warm_start: expected a run directory, but '{path}' has no trials.jsonl")
    lines = whole_lines(file)
    if not lines:
        raise InputError(f"warm_start: the run '{path}' has no finished trial")
    space = read_config(path).space if (path / "config.yaml").is_file() else ""
    return unique_trials(
        [parse_trial(line, space, f"{file}, line {index}") for index, line in enumerate(lines, start=1)], file
    )


def read_config(path: Path, what: str = "--resume") -> RunConfig:
    """Read the configuration of a run directory.

    Args:
        path: the directory.
        what: the flag or command at the beginning of the error message.

    Raises:
        InputError: if it is not a run directory.
    """
    file = path / "config.yaml"
    if not file.is_file():
        raise InputError(f"{what}: expected a run directory, but '{path}' {_missing(path)}")
    data = read_yaml(file)
    data.setdefault("control", {"enabled": False})  # a run from before there was a control has none
    keep_old_split(data)
    try:
        values = {key: value for key, value in data.items() if key not in METADATA}
        return validate_config(values, str(file), runs_code=False)
    except InputError as error:
        made_by, versions = "", data.get("versions")
        if isinstance(versions, dict) and versions.get("mnas") != package_version():
            maker = versions.get("mnas", "of an unknown version")
            made_by = f". The run was made by mnas {maker}, this is {package_version()}"
        raise InputError(f"{error}{made_by}") from None


def read_identity(path: Path) -> DataIdentity | None:
    """Return the identity of a run's images; ``None`` if the run stores none.

    Raises:
        InputError: if it is damaged.
    """
    file = path / "config.yaml"
    return DataIdentity.read(read_yaml(file).get("images"), str(file))


def check_run_images(path: Path, config: RunConfig, then: DataIdentity | None, now: DataIdentity) -> None:
    """Check that images are those of a run.

    Raises:
        InputError: saying what has changed.
    """
    way_on = (
        "Trials on other images cannot be compared with the run's. Restore the images, or begin a new search "
        f"(--warm-start {shlex.quote(str(path))} learns from this one)"
    )
    check_same_images(then, now, f"run '{path}'", config.data.source, way_on)


def _missing(path: Path) -> str:
    """Return why a path is not a run directory, in words that follow the path."""
    if not path.exists():
        runs = (
            [folder.name for folder in path.parent.iterdir() if (folder / "config.yaml").is_file()]
            if path.parent.is_dir()
            else []
        )
        return f"does not exist{nearest_name(path.name, sorted(runs)) if runs else ''}"
    if path.is_file():
        return "is a file"
    if (path / "train.yaml").is_file():
        command = "supernet train" if read_mapping(path / "train.yaml").get("supernet") is not None else "train"
        return f"is a training's folder; resume it with: {program()} {command} --resume {shlex.quote(str(path))}"
    return "has no config.yaml"
