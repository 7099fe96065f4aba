"""Searches for several budgets with the weights of one supernet: a run for each, with the same images and workers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.core.callback import CallbackList
from nas.core.changes import Changes
from nas.core.documents import read_mapping
from nas.core.errors import InputError
from nas.core.files import cannot_write, write_whole
from nas.core.units import parse_count, short_quantity
from nas.search import session
from nas.search.assemble import prepare
from nas.search.baseline import Baseline
from nas.search.callback import SearchCallback
from nas.search.config import RunConfig, validate_config
from nas.search.result import Result
from nas.search.run_directory import Run, check_free
from nas.search.time_budget import TimeBudget

BUDGETS = "budgets.json"
FLAG = "--target-flops"


@dataclass(frozen=True)
class Budgets:
    """The folder of several searches.

    Attributes:
        path: the folder.
        config: the configuration of all searches, without a target.
        targets: a target in MACs for each, rising.
    """

    path: Path
    config: RunConfig
    targets: tuple[float, ...]

    @property
    def runs(self) -> dict[float, Path]:
        """The directory of each run by its target."""
        return {target: self.path / short_quantity(target) for target in self.targets}

    def config_of(self, target: float) -> RunConfig:
        """Return the configuration of one search; a time budget is shared evenly."""
        objective = self.config.objective.model_copy(update={"target_flops": target})
        changes: dict[str, Any] = {"objective": objective, "report": False}
        if self.config.budget is not None:
            changes["budget"] = _share(TimeBudget.parse(self.config.budget), len(self.targets))
        return self.config.model_copy(update=changes)

    def save(self) -> None:
        """Write what a resumed search needs.

        Raises:
            InputError: if the folder exists and is not empty.
            WorkError: if it cannot be written.
        """
        check_free(self.path)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise cannot_write(self.path, error) from None
        about = {"targets": list(self.targets), "config": self.config.model_dump(mode="json")}
        write_whole(self.path / BUDGETS, json.dumps(about, indent=2) + "\n")

    @classmethod
    def read(cls, path: Path) -> Budgets | None:
        """Read a folder that ``save`` wrote; ``None`` if it is another folder.

        Raises:
            InputError: if its configuration is damaged.
        """
        about = read_mapping(path / BUDGETS)
        if not about:
            return None
        targets, where = about.get("targets"), str(path / BUDGETS)
        if not isinstance(targets, list) or not targets or not all(isinstance(one, int | float) for one in targets):
            raise InputError(f"{where}: expected 'targets' in MACs, got {targets!r:.60}; begin a new folder")
        return cls(path, validate_config(about.get("config", {}), where), tuple(map(float, targets)))


def targets_of(changes: Changes) -> tuple[float, ...]:
    """Return the targets in MACs if changes to a configuration name several, rising; else an empty tuple.

    Raises:
        InputError: if one is no count.
    """
    objective = changes.get("objective")
    text = objective.get("target_flops") if isinstance(objective, dict) else None
    if not isinstance(text, str) or "," not in text:
        return ()
    return parse_targets(text, FLAG)


def parse_targets(text: str, flag: str) -> tuple[float, ...]:
    """Return targets in MACs that commas separate, rising.

    Raises:
        InputError: if one is no count.
    """
    return tuple(sorted({float(parse_count(part.strip(), flag)) for part in text.split(",")}))


def search_budgets(budgets: Budgets, callbacks: Sequence[SearchCallback] = ()) -> dict[float, Path]:
    """Begin the searches of a folder, or go on with them; those that have ended are left as they are.

    Args:
        budgets: the searches; a new folder is made.
        callbacks: callbacks that observe each search.

    Returns:
        The directory of each run by its target.

    Raises:
        InputError: if they have no supernet, or one has a mistake in its configuration; before any work for a new
            folder.
        WorkError, SearchInterrupted: as ``nas.search.session.begin``; ``search_budgets`` goes on with a folder that
            was read again.
    """
    if not budgets.config.has_supernet:
        raise InputError(
            f"{FLAG}: several targets need --supernet FOLDER, whose weights serve all of them; without one, give one "
            "target"
        )
    setups = [prepare(budgets.config_of(target)) for target in budgets.targets]
    if not (budgets.path / BUDGETS).is_file():
        budgets.save()
    images = session.read_images(setups[0], CallbackList(callbacks))
    with session.search_pool(setups[0], images, CallbackList(callbacks)) as pool:
        together = session.Together(images, pool)
        for target, path in budgets.runs.items():
            known = Result.read(path)
            if known is None or not known.ended:
                _search(budgets.config_of(target), path, callbacks, together)
    return budgets.runs


def _search(
    config: RunConfig, path: Path, callbacks: Sequence[SearchCallback], together: session.Together
) -> tuple[Run, Baseline]:
    if (path / "config.yaml").is_file():
        return session.resume(path, {}, callbacks, together=together)
    return session.begin(config, path, callbacks, together)


def _share(budget: TimeBudget, count: int) -> str:
    unit = {"clock": "s", "gpu": "gpuh", "cpu": "cpuh"}[budget.kind]
    return f"{budget.seconds / count / (1 if unit == 's' else 3600):.6g}{unit}"
