"""Any sampler of Optuna or OptunaHub as a controller: ``optuna:TPESampler``, ``optuna:samplers/auto_sampler``.

Each gene is a parameter of an in-memory study. A suggestion that was proposed before, or is outside the budget, is
reported to the study as failed and the sampler is asked again, so that no evaluation is spent on it. After ``attempts``
such suggestions a network is drawn at random. A new sampler is made for each suggestion, with a seed from the
controller's generator: the sampler's knowledge is in its study, which is saved in the controller's state. CMA-ES is an
exception: it keeps pickles in the study, which are not saved, so after a restart it builds its distribution again from
the study's trials.
"""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any

from nas.controllers.controller import Controller, State
from nas.controllers.objectives import REWARD, Objectives, Watch
from nas.controllers.task import Task
from nas.core.errors import InputError, nearest_name
from nas.core.records import Architecture, Trial
from nas.core.user_code import describe
from nas.search_spaces.domain import ENUMERABLE
from nas.search_spaces.space import size

if TYPE_CHECKING:
    from optuna import Study
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial

PREFIX = "optuna:"
_SUPPLIED = ("seed", "search_space")  # arguments of samplers that are filled in here
_SEEDED_ONCE = ("QMCSampler",)  # samplers that draw one sequence from one seed; the study stores the position in it
_PICKLED = "cma:"  # prefix of attributes that hold pickles: neither saved to a run directory nor loaded


class OptunaController(Controller):
    """Proposes the suggestions of an Optuna sampler.

    Args:
        task: the domain of architectures and the reward function.
        seed: seed of the controller's random generator.
        sampler: the sampler's class.
        objectives: ``reward``, or several names of metrics: ``accuracy``, ``macs``, ``max:NAME``.
        categorical: whether genes are categorical parameters, without an order; ``False`` makes them integers.
        sampler_options: keyword arguments of the sampler's class.
    """

    name = PREFIX + "SAMPLER"
    summary = "any sampler of Optuna (TPESampler, GPSampler, NSGAIISampler, ...) or OptunaHub (samplers/NAME)"
    attempts = 30

    def __init__(
        self,
        task: Task,
        seed: int,
        sampler: type[BaseSampler],
        *,
        objectives: Sequence[str] = (REWARD,),
        categorical: bool = True,
        **sampler_options: Any,
    ) -> None:
        super().__init__(task, seed)
        self.objectives = Objectives.parse(objectives)
        self._sampler, self._options, self._seed = sampler, sampler_options, seed
        self._distributions = _distributions(task.domain.space.gene_sizes, categorical)
        if "search_space" in inspect.signature(sampler).parameters:
            if size(task.domain.space) > ENUMERABLE:
                raise InputError(f"controller: {sampler.__name__} lists the whole space, which is too large for it")
            sizes = task.domain.space.gene_sizes
            self._options["search_space"] = {f"gene{gene}": list(range(options)) for gene, options in enumerate(sizes)}
        self._numbers: dict[Architecture, int] = {}  # numbers of the study's running trials
        self._suggested: Architecture | None = None
        self._watch = Watch("controller.objectives", self.objectives.names)
        self._study = self._new_study()
        self._fresh_sampler()

    def propose(self) -> Architecture | None:
        """Return the sampler's next suggestion."""
        self._settle()
        self._study.sampler = self._fresh_sampler()
        with self._named():
            trial = self._study.ask(self._distributions)
        architecture = self.architecture(trial.params[name] for name in self._distributions)
        if architecture in self._numbers:
            self._study.tell(trial.number, state=_states()["failed"])
            return None
        self._numbers[architecture] = trial.number
        self._suggested = architecture
        return architecture

    def tell(self, trials: Sequence[Trial]) -> None:
        """Learn from finished trials, and check that they have the objectives' metrics."""
        super().tell(trials)
        self._watch.see(trials)

    def learn(self, trial: Trial) -> None:
        """Report a trial to the study; a trial that the sampler did not suggest is added to it."""
        if self._suggested == trial.architecture:
            self._suggested = None  # it was accepted; its result is reported below
        self._settle()
        values = self.objectives.of(trial)
        state = _states()["failed" if trial.status == "ok" and values is None else trial.status]
        number = self._numbers.pop(trial.architecture, None)
        with self._named():
            if number is not None:
                self._study.tell(number, values, state=state)
            elif values is not None:
                self._study.add_trial(self._record(trial.architecture.genes, state, values, {}))

    def own_state(self) -> State:
        """Return the study: every trial with the sampler's attributes, and the sampler's attributes of the study."""
        self._settle()
        trials = [
            [
                [trial.params[name] for name in self._distributions],
                trial.state.name,
                trial.values,
                _plain(trial.system_attrs),
            ]
            for trial in self._study.get_trials(deepcopy=False)
        ]
        return {
            "sampler": self._sampler.__name__,
            "trials": trials,
            "study": _plain(self._study._storage.get_study_system_attrs(self._study._study_id)),
            "running": [[list(architecture.genes), number] for architecture, number in self._numbers.items()],
        }

    def load_own_state(self, state: Mapping[str, Any]) -> None:
        """Restore the study.

        Raises:
            InputError: if the state belongs to another sampler.
        """
        from optuna.trial import TrialState

        if state.get("sampler") != self._sampler.__name__:
            raise InputError(f"expected the state of {self._sampler.__name__}, got that of {state.get('sampler')}")
        self._study, self._suggested = self._new_study(), None
        for genes, name, values, attributes in state["trials"]:
            self._study.add_trial(
                self._record(self.restored(genes).genes, TrialState[name], values, _plain(attributes))
            )
            if values is not None:
                self._watch.trust()
        for key, value in _plain(state["study"]).items():
            self._study._storage.set_study_system_attr(self._study._study_id, key, value)
        self._numbers = {self.restored(genes): int(number) for genes, number in state["running"]}

    def _settle(self) -> None:
        """Report the last suggestion to the study as failed if it was not accepted."""
        if self._suggested is not None and self._suggested not in self.pending:
            self._study.tell(self._numbers.pop(self._suggested), state=_states()["failed"])
        self._suggested = None

    def _new_study(self) -> Study:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        best = optuna.study.StudyDirection
        directions = [best.MAXIMIZE if sign > 0 else best.MINIMIZE for sign in self.objectives.signs]
        study = optuna.create_study(directions=directions, sampler=optuna.samplers.RandomSampler(0))
        study.stop = _ignore  # type: ignore[method-assign]  # samplers of finite lists stop their study
        return study

    def _fresh_sampler(self) -> BaseSampler:
        seeded = "seed" in inspect.signature(self._sampler).parameters
        once = self._sampler.__name__ in _SEEDED_ONCE
        seed = self._seed if once else int(self.generator.integers(2**31))
        with self._named():
            return self._sampler(**self._options, **({"seed": seed} if seeded else {}))

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Convert a sampler's exceptions to ``InputError``; hide its warnings, which are about Optuna's API."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        except ModuleNotFoundError as error:
            raise InputError(
                f"controller: Optuna's {self._sampler.__name__} needs '{error.name}': pip install {error.name}"
            ) from error
        except Exception as error:
            name, given = self._sampler.__name__, dict(self._options)
            raise InputError(
                f"controller: Optuna's {name} with the options {given} fails: {describe(error)}"
            ) from error

    def _record(self, genes: Sequence[int], state: Any, values: Any, attributes: Mapping[str, Any]) -> FrozenTrial:
        from optuna.trial import create_trial

        return create_trial(
            state=state,
            values=values,
            params=dict(zip(self._distributions, (int(gene) for gene in genes), strict=True)),
            distributions=self._distributions,
            system_attrs=dict(attributes),
        )


def _ignore() -> None:
    """Do nothing."""


def optuna_samplers() -> dict[str, type[BaseSampler]]:
    """Return Optuna's samplers that can be made without further objects, by name."""
    import optuna

    found = {}
    for name in optuna.samplers.__all__:
        kind = getattr(optuna.samplers, name)
        if isinstance(kind, type) and not inspect.isabstract(kind) and not _missing(kind):
            found[name] = kind
    return found


def find_sampler(reference: str) -> type[BaseSampler]:
    """Return the sampler of ``TPESampler``, or of OptunaHub's ``samplers/auto_sampler[:Class]``.

    Raises:
        InputError: if there is none, OptunaHub is not installed, or the package cannot be fetched.
    """
    if "/" not in reference:
        samplers = optuna_samplers()
        kind = samplers.get(reference) or samplers.get(f"{reference}Sampler")
        if kind is None:
            raise InputError(f"controller: Optuna has no sampler '{reference}'{nearest_name(reference, samplers)}")
        return kind
    package, _, name = reference.partition(":")
    return _hub_sampler(_load_package(package), package, name)


def sampler_options(kind: type[BaseSampler]) -> dict[str, Any]:
    """Return a sampler's arguments and their defaults, without those that are filled in here."""
    parameters = inspect.signature(kind).parameters.values()
    return {item.name: item.default for item in parameters if item.name not in _SUPPLIED}


def _load_package(package: str) -> ModuleType:
    try:
        import optunahub  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        raise InputError(
            f"controller: '{package}' is a package of OptunaHub; install it: pip install optunahub"
        ) from None
    try:
        module: ModuleType = optunahub.load_module(package)
    except Exception as error:
        raise InputError(f"controller: OptunaHub's '{package}' cannot be loaded: {describe(error)}") from error
    return module


def _hub_sampler(module: ModuleType, package: str, name: str) -> type[BaseSampler]:
    from optuna.samplers import BaseSampler

    names = getattr(module, "__all__", None) or list(vars(module))
    kinds = {key: getattr(module, key, None) for key in names}
    found = {key: kind for key, kind in kinds.items() if isinstance(kind, type) and issubclass(kind, BaseSampler)}
    if name in found:
        return found[name]
    if name or len(found) != 1:
        raise InputError(
            f"controller: expected optuna:{package}:CLASS with a sampler of that package{nearest_name(name, found)}"
        )
    return next(iter(found.values()))


def _distributions(sizes: Sequence[int], categorical: bool) -> dict[str, Any]:
    from optuna.distributions import CategoricalDistribution, IntDistribution

    return {
        f"gene{gene}": CategoricalDistribution(range(options)) if categorical else IntDistribution(0, options - 1)
        for gene, options in enumerate(sizes)
    }


def _missing(kind: type[Any]) -> list[str]:
    """Return the arguments without which the class cannot be made, and which are not filled in here."""
    parameters = inspect.signature(kind).parameters.values()
    plain = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    needed = [item.name for item in parameters if item.default is inspect.Parameter.empty and item.kind in plain]
    return [name for name in needed if name not in _SUPPLIED]


def _states() -> dict[str, Any]:
    from optuna.trial import TrialState

    return {"ok": TrialState.COMPLETE, "failed": TrialState.FAIL, "pruned": TrialState.PRUNED}


def _plain(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes that can be stored as JSON and are not pickles."""
    return {
        key: value
        for key, value in attributes.items()
        if not key.startswith(_PICKLED) and not (isinstance(value, float) and math.isnan(value))
    }
