"""Tools for the checks of controllers: small tasks, made-up results, and calls that report errors clearly."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import numpy as np

from nas.controllers.controller import Controller
from nas.controllers.registry import find_controller
from nas.controllers.task import Task
from nas.core.errors import InputError
from nas.core.records import Architecture, Trial
from nas.core.user_code import describe
from nas.evaluate.cost.domain import LimitedDomain
from nas.evaluate.cost.known_costs import KnownCosts
from nas.evaluate.cost.make_domain import limited_domain
from nas.evaluate.objective.limits import Limits, macs_band
from nas.evaluate.objective.reward import Factor, Reward
from nas.search_spaces.catalogue import load_space
from nas.search_spaces.domain import Columns, Domain, Genes

Result = TypeVar("Result")
TARGET, TOLERANCE = 300e6, 0.05


@dataclass(frozen=True)
class TinyTable:
    """A space of 48 genotypes."""

    name: str = "check-table"
    gene_sizes: tuple[int, ...] = (2, 3, 4, 2)


class TinyDomain(Domain):
    """The whole table. The last gene has no effect, so there are 24 networks."""

    def key(self, architecture: Architecture) -> tuple[int, ...]:
        """Return a key that differs between networks."""
        return architecture.genes[:-1]

    def costs(self, genes: Genes) -> Columns:
        """Return made-up costs."""
        return {"macs": 1.0 + genes[:, :-1].sum(axis=1)}


@dataclass(frozen=True)
class ControllerSpec:
    """A controller to be checked.

    Attributes:
        name: name of the controller, as the user types it.
        options: options of the controller.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def make(self, task: Task, seed: int = 0) -> Controller:
        """Make the controller.

        Raises:
            InputError: with the exception that its constructor raised.
        """
        return guarded("its constructor", partial(find_controller(self.name).make, task, seed, **self.options))


def whole_task() -> Task:
    """Return a task on the whole space ``small-images``, with accuracy as the reward."""
    space = load_space("small-images")
    return Task(LimitedDomain(space, KnownCosts(space), Limits()))


def banded_task() -> Task:
    """Return a task on the space ``efficientnet`` inside a narrow band of MACs, with the papers' reward."""
    space = load_space("efficientnet")
    domain = limited_domain(space, KnownCosts(space), Limits((macs_band(TARGET, TOLERANCE),)))
    return Task(domain, Reward((Factor("macs", TARGET),)))


def tiny_task() -> Task:
    """Return a task that holds 24 networks."""
    return Task(TinyDomain(TinyTable()))


def made_up_trial(task: Task, number: int, architecture: Architecture) -> Trial:
    """Return a trial with a made-up result that depends on its genes; every seventh trial fails."""
    if number % 7 == 3:
        return Trial(number, architecture, "failed", error="diverged: loss is nan")
    accuracy = 0.5 + sum((gene + 1) * (index % 3) for index, gene in enumerate(architecture.genes)) / 1000
    known = task.domain.costs(np.array([architecture.genes], dtype=np.int64))
    metrics = {"accuracy": accuracy, **{name: float(values[0]) for name, values in known.items()}}
    reward = float(task.reward.many({name: np.array([value]) for name, value in metrics.items()})[0])
    return Trial(number, architecture, "ok", metrics, reward)


def play(controller: Controller, task: Task, count: int, start: int = 0) -> list[Architecture]:
    """Ask and tell one trial after another; return the proposed architectures.

    Raises:
        InputError: if the controller fails, or proposes too little.
    """
    proposed: list[Architecture] = []
    for number in range(start, start + count):
        new = ask(controller, 1)
        require(len(new) == 1, f"asked for one network, it gave {len(new)} after {number} trials")
        proposed += new
        tell(controller, [made_up_trial(task, number, new[0])])
    return proposed


def ask(controller: Controller, count: int) -> list[Architecture]:
    """Ask for proposals.

    Raises:
        InputError: with the exception that the controller raised, or if it returned something other than proposals.
    """
    proposals = guarded(f"ask({count})", partial(controller.ask, count))
    require(isinstance(proposals, list) and len(proposals) <= count, f"ask({count}) gave {proposals!r:.100}")
    return proposals


def tell(controller: Controller, trials: Sequence[Trial]) -> None:
    """Tell trials to the controller.

    Raises:
        InputError: with the exception that the controller raised.
    """
    statuses = "/".join(dict.fromkeys(trial.status for trial in trials))
    guarded(f"tell() of trials that are {statuses}", partial(controller.tell, trials))


def guarded(what: str, call: Callable[[], Result]) -> Result:
    """Call code of the controller and convert its exceptions.

    Raises:
        InputError: with the exception's type, message and line.
    """
    try:
        return call()
    except InputError:
        raise
    except (Exception, SystemExit) as error:
        raise InputError(f"{what} raised {describe(error)}") from error


def require(kept: bool, otherwise: str) -> None:
    """Raise ``InputError`` with the message ``otherwise`` if a requirement is not met."""
    if not kept:
        raise InputError(otherwise)
