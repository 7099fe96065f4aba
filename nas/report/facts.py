"""The data of a report: a run directory, read without changing it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from nas.core.documents import read_mapping, read_yaml
from nas.core.errors import InputError
from nas.core.journal import read_rows
from nas.core.records import Trial
from nas.core.user_code import opened_run
from nas.search.assemble import space_of
from nas.search.baseline import best_trial, front_of
from nas.search.config import RunConfig
from nas.search.inputs import kept_inputs
from nas.search.loop import SPENT
from nas.search.result import Result
from nas.search.run_directory import read_config, read_journal
from nas.search_spaces import space as spaces
from nas.search_spaces.network import Network
from nas.search_spaces.yaml_format import network_from_dict
from nas.studies.proxy_ranking import JOURNAL as TRAININGS
from nas.studies.proxy_ranking import read_trust
from nas.studies.scaling_fit import REPORT as SCALING


@dataclass(frozen=True)
class Facts:
    """The data of a run, read from its directory, which another process may be writing to.

    Attributes:
        path: the directory.
        config: the configuration of the run.
        created: start of the run, ISO 8601; empty if it was not recorded.
        versions: versions of the packages that a result may depend on.
        trials: finished trials, in the order of the journal.
        result: the content of ``result.json``; ``None`` if it does not cover all trials.
        network: the baseline's stage table; ``None`` if there is no result, or the space has no stage tables.
        trust: the content of ``trust.json``; ``None`` if trust was not measured.
        scaling: the content of ``scaling.json``; empty unless the run is a grid search.
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
            InputError: if ``path`` is not a run directory, or no trial has ended yet.
        """
        config = read_config(path, "report")
        trials = read_journal(path, config)
        if not trials:
            raise InputError(f"report: the run '{path}' has no finished trial yet")
        data = read_yaml(path / "config.yaml")
        created, versions = data.get("created"), data.get("versions")
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
            scaling=read_mapping(path / SCALING),
        )

    @property
    def name(self) -> str:
        """The run's name, which is the name of its directory."""
        return self.path.resolve().name

    @cached_property
    def succeeded(self) -> list[Trial]:
        """The trials with a reward."""
        return [trial for trial in self.trials if trial.reward is not None]

    @cached_property
    def front(self) -> list[Trial]:
        """The Pareto front, by decreasing accuracy."""
        return front_of(self.trials)

    @cached_property
    def best(self) -> Trial | None:
        """The baseline's trial; while the run has not ended, the best trial so far."""
        number = None if self.result is None else self.result.number
        chosen = [trial for trial in self.trials if trial.number == number]
        return chosen[0] if chosen else best_trial(self.trials)

    @property
    def is_predicted(self) -> bool:
        """Whether accuracies are looked up or predicted, so no network is trained."""
        return self.config.evaluator_kind.is_instant

    @property
    def clock_s(self) -> float | None:
        """Wall-clock seconds of the search; ``None`` if they were not recorded, as without a time budget."""
        spent = read_mapping(self.path / SPENT).get("clock_s")
        return None if spent is None else float(spent)

    @property
    def has_ended(self) -> bool:
        """Whether the search has finished and was not interrupted."""
        return self.result is not None and self.result.ended

    @cached_property
    def decoded(self) -> Network | None:
        """The stage table of the best trial, whether the run has ended or not; ``None`` where there is none."""
        if self.network is not None or self.best is None:
            return self.network
        try:
            with opened_run():
                space = space_of(kept_inputs(self.path, self.config))
                spaces.check(space, self.best.architecture)
                return spaces.decode(space, self.best.architecture)
        except (InputError, OSError):  # the space's file is missing or has changed
            return None

    @property
    def gpus_per_worker(self) -> float:
        """The share of a GPU that a trial held; 0 on CPUs."""
        known = read_mapping(self.path / SPENT).get("gpus_per_worker", self.config.workers.gpus_per_worker)
        return float(known or 0.0)

    def hours(self) -> list[float]:
        """Return the total hours of all workers up to each trial ``(n,)``; GPU-hours if the workers use GPUs."""
        share, total, found = self.gpus_per_worker or 1.0, 0.0, []
        for trial in self.trials:
            total += share * trial.seconds / 3600
            found.append(total)
        return found

    @property
    def hours_unit(self) -> str:
        """The unit of ``hours``."""
        return "GPU-hours" if self.gpus_per_worker else "worker-hours"

    def trust_trainings(self) -> list[dict[str, Any]]:
        """Return the successful trainings that trust was measured from."""
        return [row for row in read_rows(self.path / TRAININGS) if row.get("accuracy") is not None]


def _baseline(path: Path) -> Network | None:
    """Return the stage table of ``baseline.yaml``; ``None`` if there is none, or it holds a genotype."""
    try:
        data = read_yaml(path)
        return network_from_dict(data, str(path)) if "stages" in data else None
    except InputError:
        return None
