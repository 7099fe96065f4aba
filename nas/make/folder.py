"""The folder of ``nas make``: its configuration, how far it is, and the time that it has used."""

from __future__ import annotations

import json
import shlex
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nas.core.callback import Callback
from nas.core.documents import read_mapping, read_yaml, to_yaml
from nas.core.errors import InputError
from nas.core.files import cannot_write, check_empty, hold, write_whole
from nas.core.program import program
from nas.core.section import validated
from nas.core.version import versions
from nas.make.config import MakeConfig

CONFIG, STATE, RESULT, SPACE = "make.yaml", "make.json", "result.json", "space.yaml"
SEARCH, TRAINED, EXPORTED = "search", "trained", "exported"
_SAVE_EVERY_S = 5.0


@dataclass
class MakeFolder:
    """A folder of ``nas make``.

    Attributes:
        path: the folder.
        config: the configuration, with absolute paths.
        state: what is known so far: the plan, the choice, the seconds of the finished phases.
        before_s: seconds that earlier processes used.
    """

    path: Path
    config: MakeConfig
    state: dict[str, Any] = field(default_factory=dict)
    before_s: float = 0.0

    def __post_init__(self) -> None:
        self._start = self._saved = time.monotonic()
        self._lock = hold(self.path / CONFIG, "resume")

    @classmethod
    def create(cls, path: Path, config: MakeConfig) -> MakeFolder:
        """Make the folder and write the configuration.

        Raises:
            InputError: if the folder is not empty.
            WorkError: if it cannot be written.
        """
        known = (path / CONFIG).is_file()
        check_empty(path, f"{program()} make --resume {shlex.quote(str(path))}" if known else "")
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise cannot_write(path, error) from None
        write_whole(path / CONFIG, to_yaml(config.model_dump(mode="json") | {"versions": versions()}))
        return cls(path, config)

    @classmethod
    def open(cls, path: Path) -> MakeFolder:
        """Open a folder to go on.

        Raises:
            InputError: if it is not a folder of ``nas make``.
        """
        if not (path / CONFIG).is_file():
            raise InputError(f"--resume: expected a folder of {program()} make, but '{path}' has no {CONFIG}")
        data = read_yaml(path / CONFIG)
        data.pop("versions", None)
        state = read_mapping(path / STATE)
        seconds = state.get("seconds", 0.0)
        found = cls(path, validated(MakeConfig, data, str(path / CONFIG)), state)
        found.before_s = float(seconds) if isinstance(seconds, int | float) else 0.0
        return found

    @property
    def resume_command(self) -> str:
        """The command that goes on."""
        return f"{program()} make --resume {shlex.quote(str(self.path))}"

    @property
    def seconds(self) -> float:
        """Seconds that have been used so far, by all processes."""
        return self.before_s + time.monotonic() - self._start

    @property
    def left_s(self) -> float:
        """Seconds that are left of the whole time."""
        return 60 * self.config.minutes - self.seconds

    def keep(self, **values: Any) -> None:
        """Store values, and the time that was used."""
        self.state |= values
        self.save()

    def save(self) -> None:
        """Write the state with the time that was used."""
        write_whole(self.path / STATE, json.dumps({**self.state, "seconds": round(self.seconds, 1)}, indent=1) + "\n")
        self._saved = time.monotonic()

    def note_time(self) -> None:
        """Write the state if this was not done for some seconds, so that a kill loses no more than these."""
        if time.monotonic() - self._saved > _SAVE_EVERY_S:
            self.save()

    def clear_unfinished(self, name: str, needed: str) -> None:
        """Remove a folder that was killed before it held the file ``needed``."""
        if (self.path / name).is_dir() and not (self.path / name / needed).is_file():
            shutil.rmtree(self.path / name)

    def finish(self, result: Mapping[str, Any]) -> None:
        """Write the result."""
        write_whole(self.path / RESULT, json.dumps(result, indent=2) + "\n")
        self.save()


class TimeKeeper(Callback):
    """Keeps the folder's used time up to date while its phases run."""

    def __init__(self, folder: MakeFolder) -> None:
        self._folder = folder

    def tick(self) -> None:
        """Note the time."""
        self._folder.note_time()

    def step_finished(self, epoch: int, step: int, steps: int, loss: float, images_per_s: float) -> None:  # noqa: ARG002
        """Note the time."""
        self._folder.note_time()

    def epoch_finished(self, row: Mapping[str, Any]) -> None:  # noqa: ARG002
        """Note the time."""
        self._folder.note_time()

    def message(self, text: str) -> None:  # noqa: ARG002 (confirming trainings report themselves by messages)
        """Note the time."""
        self._folder.note_time()
