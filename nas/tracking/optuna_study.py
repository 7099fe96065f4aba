"""A run's journal as Optuna studies: for Optuna's own plots and importances, and for optuna-dashboard."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.run import read_config, read_journal
from nas.search_spaces import space as spaces
from nas.search_spaces.errors import InputError, WorkError
from nas.search_spaces.records import Architecture, Trial
from nas.search_spaces.space import SearchSpace
from nas.setup import space_of

if TYPE_CHECKING:
    from optuna.distributions import CategoricalDistribution
    from optuna.storages import BaseStorage
    from optuna.study import Study
    from optuna.trial import FrozenTrial

STATES = {"ok": "COMPLETE", "failed": "FAIL", "pruned": "PRUNED"}
NUMBER = "number"
Choice = str | int | float | bool | None


class RunStudies:
    """Two studies that follow a run: ``NAME`` (the reward), and ``NAME: accuracy, MACs`` (both).

    Args:
        path: the run's directory, which another process may be writing to.
        storage: where the studies are, or will be; trials that are there already are not added again.
        what: the command that a refusal begins with.

    Raises:
        InputError: if it is no run directory, or its space cannot be loaded.
    """

    def __init__(self, path: Path, storage: BaseStorage, what: str) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.path, self.config = path, read_config(path, what)
        name = path.resolve().name
        self._options = _distributions(space_of(self.config))
        self.reward = optuna.create_study(study_name=name, storage=storage, direction="maximize", load_if_exists=True)
        self.front = optuna.create_study(
            study_name=f"{name}: accuracy, MACs",
            storage=storage,
            directions=["maximize", "minimize"],
            load_if_exists=True,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            self.reward.set_metric_names(["reward"])
            self.front.set_metric_names(["accuracy", "macs"])
        self._known = {study.study_name: _numbers(study) for study in (self.reward, self.front)}

    def follow(self) -> int:
        """Add the trials that have ended since; return how many."""
        trials = read_journal(self.path, self.config)
        added = self._add(self.reward, [(trial, _reward(trial)) for trial in trials])
        self._add(self.front, [(trial, _both(trial)) for trial in trials if "macs" in trial.metrics])
        return added

    def _add(self, study: Study, rows: Sequence[tuple[Trial, list[float] | None]]) -> int:
        known = self._known[study.study_name]
        fresh = [(trial, values) for trial, values in rows if trial.number not in known]
        study.add_trials([self._frozen(trial, values) for trial, values in fresh])
        known |= {trial.number for trial, _ in fresh}
        return len(fresh)

    def _frozen(self, trial: Trial, values: list[float] | None) -> FrozenTrial:
        from optuna.trial import TrialState, create_trial

        params = {name: _plain(value) for name, value in trial.choices.items()}
        epochs, accuracy = trial.metrics.get("epochs"), trial.metrics.get("accuracy")
        attributes: dict[str, Any] = {NUMBER: trial.number, **trial.metrics, "seconds": trial.seconds}
        if trial.error is not None:
            attributes["error"] = trial.error
        single = {"value": values[0]} if values is not None and len(values) == 1 else {"values": values}
        found = create_trial(
            state=TrialState[STATES[trial.status]],
            params=params,
            distributions={name: self._options[name] for name in params},
            user_attrs=attributes,
            intermediate_values={int(epochs): accuracy} if epochs and accuracy is not None else {},
            **single,
        )
        found.datetime_complete = found.datetime_complete or datetime.now()
        found.datetime_start = found.datetime_complete - timedelta(seconds=trial.seconds)
        return found


def open_storage(url: str) -> BaseStorage:
    """Return Optuna's storage of a URL such as ``sqlite:///study.db``.

    Raises:
        InputError: if there is no such storage.
        WorkError: if it cannot be opened.
    """
    import optuna
    from sqlalchemy.exc import ArgumentError, SQLAlchemyError

    if "://" not in url:
        raise InputError(f"--storage: expected a database's URL such as sqlite:///study.db, got '{url}'")
    try:
        return optuna.storages.get_storage(url)
    except (ArgumentError, ModuleNotFoundError, ValueError) as error:
        raise InputError(f"--storage: '{url}' names no storage of Optuna's: {str(error).splitlines()[0]}") from None
    except (SQLAlchemyError, OSError) as error:
        raise WorkError(f"--storage: '{url}' cannot be opened: {str(error).splitlines()[0]}") from None


def _distributions(space: SearchSpace) -> dict[str, CategoricalDistribution]:
    """Return every decision's options, all of them: Optuna lets none be added later."""
    from optuna.distributions import CategoricalDistribution

    found: dict[str, dict[Choice, None]] = {}
    first = (0,) * len(space.gene_sizes)
    for place, count in enumerate(space.gene_sizes):
        for option in range(int(count)):
            genes = (*first[:place], option, *first[place + 1 :])
            for name, value in spaces.choices(space, Architecture(space.name, genes)).items():
                found.setdefault(name, {})[_plain(json.loads(json.dumps(value)))] = None
    return {name: CategoricalDistribution(tuple(options)) for name, options in found.items()}


def _plain(value: Any) -> Choice:
    return value if isinstance(value, str | int | float | bool | None) else json.dumps(value)


def _numbers(study: Study) -> set[int]:
    return {int(trial.user_attrs[NUMBER]) for trial in study.get_trials(deepcopy=False) if NUMBER in trial.user_attrs}


def _reward(trial: Trial) -> list[float] | None:
    return None if trial.reward is None else [trial.reward]


def _both(trial: Trial) -> list[float] | None:
    return None if trial.reward is None else [trial.metrics["accuracy"], trial.metrics["macs"]]
