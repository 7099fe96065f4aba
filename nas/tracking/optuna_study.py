"""A run's journal as Optuna studies, for Optuna's plots and parameter importances and for optuna-dashboard."""

from __future__ import annotations

import json
import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nas.core.errors import InputError, WorkError
from nas.core.files import expanded
from nas.core.records import Architecture, Trial
from nas.core.user_code import opened_run
from nas.search.assemble import space_of
from nas.search.config import RunConfig
from nas.search.inputs import kept_inputs
from nas.search.run_directory import read_config, read_journal
from nas.search_spaces import space as spaces
from nas.search_spaces.space import SearchSpace

if TYPE_CHECKING:
    from optuna.distributions import CategoricalDistribution
    from optuna.storages import BaseStorage
    from optuna.study import Study
    from optuna.trial import FrozenTrial

STATES = {"ok": "COMPLETE", "failed": "FAIL", "pruned": "PRUNED"}
NUMBER, SOURCE = "number", "run"
Direction = Literal["maximize", "minimize"]
Choice = str | int | float | bool | None


class RunStudies:
    """Two Optuna studies of a run: ``NAME`` (the reward), and ``NAME: accuracy, MACs`` (two objectives).

    Args:
        path: the run's directory, which another process may be writing to.
        storage: storage of the studies; trials that it already holds are not added again.
        what: name of the command, with which error messages begin.

    Raises:
        InputError: if ``path`` is not a run directory, or its space cannot be loaded.
    """

    def __init__(self, path: Path, storage: BaseStorage, what: str) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.path, self.config = path, read_config(path, what)
        name = path.resolve().name
        trials = read_journal(path, self.config)
        self._options = _distributions(_space(path, self.config), trials)
        self.reward = self._study(name, storage, ["maximize"])
        self.front = self._study(f"{name}: accuracy, MACs", storage, ["maximize", "minimize"])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            self.reward.set_metric_names(["reward"])
            self.front.set_metric_names(["accuracy", "macs"])
        self._known = {study.study_name: _numbers(study) for study in (self.reward, self.front)}

    def _study(self, name: str, storage: BaseStorage, directions: Sequence[Direction]) -> Study:
        """Create a study, or load it if it already holds this run.

        Raises:
            InputError: if a study of another run has the name.
        """
        import optuna

        study = optuna.create_study(study_name=name, storage=storage, directions=directions, load_if_exists=True)
        source, known = str(self.path.resolve()), study.user_attrs.get(SOURCE)
        if known is None and not study.get_trials(deepcopy=False):
            study.set_user_attr(SOURCE, source)
        elif known != source:
            raise InputError(
                f"--storage: the database already holds a study '{name}' of another run ({known or 'not ours'}); use "
                "another database, or rename the run directory"
            )
        return study

    def follow(self) -> int:
        """Add the trials that have ended since the last call; return their number."""
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

        choices = {name: _plain(value) for name, value in trial.choices.items()}
        params = {name: value for name, value in choices.items() if value in self._options[name].choices}
        epochs, accuracy = trial.metrics.get("epochs"), trial.metrics.get("accuracy")
        attributes: dict[str, Any] = {NUMBER: trial.number, **trial.metrics, "seconds": trial.seconds}
        attributes |= {name: value for name, value in choices.items() if name not in params}
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


@contextmanager
def told_plainly(url: str) -> Iterator[None]:
    """Convert errors of the database in this context to a readable message.

    Raises:
        WorkError: if the database raises an error; gives the first line of its message.
    """
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (SQLAlchemyError, RuntimeError) as error:
        raise WorkError(f"--storage: '{url}' could not be written: {str(error).splitlines()[0]}") from None


def open_storage(url: str) -> BaseStorage:
    """Return the Optuna storage for a URL such as ``sqlite:///study.db``.

    Raises:
        InputError: if there is no such storage.
        WorkError: if it cannot be opened.
    """
    import optuna
    from sqlalchemy.exc import ArgumentError, SQLAlchemyError

    if url.startswith("sqlite:///~"):
        url = f"sqlite:///{expanded(url.removeprefix('sqlite:///'))}"
    if "://" not in url:
        raise InputError(f"--storage: expected a database's URL such as sqlite:///study.db, got '{url}'")
    try:
        return optuna.storages.get_storage(url)
    except RuntimeError as error:
        raise InputError(
            f"--storage: '{url}' was made by another version of Optuna ({str(error).splitlines()[0]}); bring it up to "
            f"date with: optuna storage upgrade --storage {url}, or choose another database"
        ) from None
    except (ArgumentError, ModuleNotFoundError, ValueError) as error:
        raise InputError(f"--storage: '{url}' is not an Optuna storage: {str(error).splitlines()[0]}") from None
    except (SQLAlchemyError, OSError) as error:
        raise WorkError(f"--storage: '{url}' cannot be opened: {str(error).splitlines()[0]}") from None


def _space(path: Path, config: RunConfig) -> SearchSpace | None:
    """Return the run's space; ``None`` if it cannot be loaded, for instance because its code must not be run."""
    try:
        with opened_run():
            return space_of(kept_inputs(path, config))
    except InputError:
        return None


def _distributions(space: SearchSpace | None, trials: Sequence[Trial]) -> dict[str, CategoricalDistribution]:
    """Return the options of every decision; Optuna does not allow options to be added later.

    The options are found by varying one gene at a time, and from the trials; without a space, from the trials alone. An
    option that depends on several genes may be missing; it is then stored as a user attribute of the trial instead of a
    parameter.
    """
    from optuna.distributions import CategoricalDistribution

    found: dict[str, dict[Choice, None]] = {}
    seen: list[Mapping[str, object]] = []
    if space is not None:
        first = (0,) * len(space.gene_sizes)
        seen = [
            spaces.choices(space, Architecture(space.name, (*first[:place], option, *first[place + 1 :])))
            for place, count in enumerate(space.gene_sizes)
            for option in range(int(count))
        ]
    for choices in [*seen, *(trial.choices for trial in trials)]:
        for name, value in choices.items():
            found.setdefault(name, {})[_plain(json.loads(json.dumps(value)))] = None
    return defaultdict(
        lambda: CategoricalDistribution((None,)),
        {name: CategoricalDistribution(tuple(options)) for name, options in found.items()},
    )


def _plain(value: Any) -> Choice:
    return value if isinstance(value, str | int | float | bool | None) else json.dumps(value)


def _numbers(study: Study) -> set[int]:
    return {int(trial.user_attrs[NUMBER]) for trial in study.get_trials(deepcopy=False) if NUMBER in trial.user_attrs}


def _reward(trial: Trial) -> list[float] | None:
    return None if trial.reward is None else [trial.reward]


def _both(trial: Trial) -> list[float] | None:
    return None if trial.reward is None else [trial.metrics["accuracy"], trial.metrics["macs"]]
