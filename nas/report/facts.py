"""What a report is made from: a run directory, read without touching it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from nas.core.errors import InputError
from nas.core.journal import read_rows
from nas.core.records import Trial
from nas.search.assemble import space_of
from nas.search.baseline import best_trial, front_of
from nas.search.config import METADATA, RunConfig
from nas.search.loop import SPENT
from nas.search.result import Result
from nas.search.run_directory import read_config, read_journal
from nas.search_spaces import space as spaces
from nas.search_spaces.network import Network
from nas.search_spaces.yaml_format import network_from_dict, read_yaml
from nas.studies.proxy_ranking import JOURNAL as TRAININGS
from nas.studies.proxy_ranking import read_trust
from nas.studies.scaling_fit import REPORT as SCALING


@dataclass(frozen=True)
class Facts:
    """A run as its directory tells it; another process may be writing there.

    Attributes:
        path: the directory.
        config: as used.
        created: when it began, ISO 8601; empty if nobody noted it.
        versions: of what a result may depend on.
        trials: finished trials, in the order of the journal.
        result: of ``result.json``; ``None`` while it is not of all trials.
        network: the baseline's stage table; ``None`` while there is no result, or for a space without.
        trust: the content of ``trust.json``, ``None`` if nobody measured it.
        scaling: the content of ``scaling.json``, empty but for a grid search.
    """

    path: Path
    config: RunConfig
    created: str
    versions: dict[str, str]
    trials: Sequence[Trial]
    result: Result | None
    network: Network | None
    trust: dict[str, Any] | None
    scaling: dict[str, Any]

    @classmethod
    def read(cls, path: Path) -> Facts:
        """Read a run directory.

        Raises:
            InputError: if it is none, or no trial has ended yet.
        """
        config = read_config(path, "report")
        trials = read_journal(path, config)
        if not trials:
            raise InputError(f"report: the run '{path}' has no finished trial yet")
        data = read_yaml(path / "config.yaml")
        created, versions = (data.get(key) for key in reversed(METADATA))
        result = Result.read(path)
        if result is not None and sum(result.trials.values()) != len(trials):  # the run was extended since
            result = None
        return cls(
            path=path,
            config=config,
            created=str(created or ""),
            versions=versions if isinstance(versions, dict) else {},
            trials=trials,
            result=result,
            network=_baseline(path / "baseline.yaml") if result else None,
            trust=read_trust(path),
            scaling=_json(path / SCALING),
        )

    @property
    def name(self) -> str:
        """What the run is called: its directory."""
        return self.path.resolve().name

    @cached_property
    def succeeded(self) -> list[Trial]:
        """The trials with a reward."""
        return [trial for trial in self.trials if trial.reward is not None]

    @cached_property
    def front(self) -> list[Trial]:
        """The Pareto front by falling accuracy."""
        return front_of(self.trials)

    @cached_property
    def best(self) -> Trial | None:
        """The baseline's trial; while the run has not ended, the best so far."""
        number = None if self.result is None else self.result.number
        chosen = [trial for trial in self.trials if trial.number == number]
        return chosen[0] if chosen else best_trial(self.trials)

    @property
    def is_predicted(self) -> bool:
        """Whether accuracies are not from trainings."""
        return self.config.evaluator_kind.is_instant

    @property
    def clock_s(self) -> float | None:
        """Seconds by the clock, where a budget kept account of them."""
        spent = _json(self.path / SPENT).get("clock_s")
        return None if spent is None else float(spent)

    @property
    def has_ended(self) -> bool:
        """Whether the search has come to its end, and was not interrupted."""
        return self.result is not None and self.result.ended

    @cached_property
    def decoded(self) -> Network | None:
        """The stage table of the best trial, whether the run has ended or not; ``None`` where there is none."""
        if self.network is not None or self.best is None:
            return self.network
        try:
            return spaces.decode(space_of(self.config), self.best.architecture)
        except (InputError, OSError):  # the space's file has gone, or has changed
            return None

    @property
    def gpus_per_worker(self) -> float:
        """The share of a GPU that a trial held; 0 on CPUs."""
        known = _json(self.path / SPENT).get("gpus_per_worker", self.config.workers.gpus_per_worker)
        return float(known or 0.0)

    def hours(self) -> list[float]:
        """Return the hours of all workers together, GPU-hours where they hold GPUs, up to each trial ``(n,)``."""
        share, total, found = self.gpus_per_worker or 1.0, 0.0, []
        for trial in self.trials:
            total += share * trial.seconds / 3600
            found.append(total)
        return found

    @property
    def hours_unit(self) -> str:
        """What ``hours`` counts."""
        return "GPU-hours" if self.gpus_per_worker else "worker-hours"

    def trust_trainings(self) -> list[dict[str, Any]]:
        """Return the trainings that trust was measured by."""
        return [row for row in read_rows(self.path / TRAININGS) if row.get("accuracy") is not None]


def _json(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def _baseline(path: Path) -> Network | None:
    """Return the stage table of ``baseline.yaml``; ``None`` if there is none, or it holds a genotype."""
    try:
        data = read_yaml(path)
        return network_from_dict(data, str(path)) if "stages" in data else None
    except InputError:
        return None
