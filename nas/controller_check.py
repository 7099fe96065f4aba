"""The contract checker for a controller: what every search relies on, tried on small tasks with made-up rewards.

Each check is a function that raises ``InputError`` at the first violation. The same checks are the tests of every
shipped controller.
"""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import numpy as np

from nas.controllers.controller import Controller
from nas.controllers.registry import find_controller
from nas.controllers.task import Task
from nas.evaluate.known_costs import KnownCosts
from nas.evaluate.limited_domain import limited_domain
from nas.evaluate.limits import Limits, macs_band
from nas.evaluate.reward import Factor, Reward
from nas.search_spaces import space as spaces
from nas.search_spaces.catalogue import load_space
from nas.search_spaces.domain import Domain
from nas.search_spaces.errors import InputError
from nas.search_spaces.records import Architecture, Trial
from nas.search_spaces.user_code import describe

Result = TypeVar("Result")
TARGET, TOLERANCE = 300e6, 0.05
TRIALS, OUTSTANDING = 40, 64
RESTARTS = (0, 3, 20)
LATE, AFTERWARDS = 110, 8  # trials before a restart that first generations do not outlive, and after it
DIFFERS = (
    "it proposes something else; own_state has to return, and load_own_state to restore, everything that decides "
    "proposals"
)
ELSEWHERE = "import sys; from nas.controller_check import print_proposals; print_proposals(*sys.argv[1:])"


@dataclass(frozen=True)
class TinyTable:
    """A space of 48 genotypes."""

    name: str = "check-table"
    gene_sizes: tuple[int, ...] = (2, 3, 4, 2)


class TinyDomain(Domain):
    """All of the table, in which the last gene does nothing: 24 networks."""

    def key(self, architecture: Architecture) -> tuple[int, ...]:
        """Return what tells two networks apart."""
        return architecture.genes[:-1]


@dataclass(frozen=True)
class Suspect:
    """A controller to be checked.

    Attributes:
        name: as people type it.
        options: its options.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def make(self, task: Task, seed: int = 0) -> Controller:
        """Make one.

        Raises:
            InputError: with what its constructor raised.
        """
        return guarded("its constructor", partial(find_controller(self.name).make, task, seed, **self.options))


def whole_task() -> Task:
    """Return the task of all of ``small-images``, accuracy alone."""
    return Task(Domain(load_space("small-images")))


def banded_task() -> Task:
    """Return the task of ``efficientnet`` inside a thin band, with the papers' reward."""
    space = load_space("efficientnet")
    domain = limited_domain(space, KnownCosts(space), Limits((macs_band(TARGET, TOLERANCE),)))
    return Task(domain, Reward((Factor("macs", TARGET),)))


def tiny_task() -> Task:
    """Return a task that holds 24 networks."""
    return Task(TinyDomain(TinyTable()))


def run_checks(suspect: Suspect) -> Iterator[str]:
    """Run every check and yield the name of each that is passed.

    Raises:
        InputError: at the first violation.
    """
    for name, check in CHECKS.items():
        try:
            check(suspect)
        except InputError as error:
            raise InputError(f"controller {suspect.name}: {name}: {error}") from error
        yield name


def remarks(suspect: Suspect) -> list[str]:
    """Return what is no breach, but may not be meant."""
    task = banded_task()
    controller = suspect.make(task)
    play(controller, task, TRIALS)
    if not controller.filled:
        return []
    return [
        f"of {TRIALS} proposals {controller.filled} were drawn at random, since propose() gave nothing new inside the "
        f"band in {controller.attempts} attempts"
    ]


def in_space_in_band_never_twice(suspect: Suspect) -> None:
    """Propose only what the domain admits, and no network twice."""
    for task in (whole_task(), banded_task()):
        proposed = play(suspect.make(task), task, TRIALS)
        for architecture in proposed:
            spaces.check(task.domain.space, architecture)
            _require(task.domain.admits(architecture), f"{architecture.genes} is outside the band")
        different = len({task.domain.key(architecture) for architecture in proposed})
        _require(different == TRIALS, f"of {TRIALS} proposals only {different} are different networks")


def one_seed_one_result(suspect: Suspect) -> None:
    """Propose the same for the same seed, and something else for another."""
    task = banded_task()
    first, second, other = (play(suspect.make(task, seed), task, TRIALS) for seed in (5, 5, 6))
    _require(first == second, "two runs with one seed differ; take every random number from self.generator")
    _require(first != other, "two seeds give the same proposals; take random numbers from self.generator")


def the_same_in_another_process(suspect: Suspect) -> None:
    """Propose the same in a fresh process, where hashes differ."""
    task = banded_task()
    expected = [list(architecture.genes) for architecture in play(suspect.make(task, 5), task, 25)]
    command = [sys.executable, "-c", ELSEWHERE, suspect.name, json.dumps(dict(suspect.options))]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    _require(result.returncode == 0, f"a fresh process failed: {result.stderr.strip().splitlines()[-1:]}")
    same = json.loads(result.stdout.splitlines()[-1]) == expected
    _require(same, "another process gives other proposals for the same seed (sets, or a clock?)")


def a_restored_one_goes_on_alike(suspect: Suspect) -> None:
    """Put the whole state through JSON at several moments; what is proposed then is what would have been."""
    for task, trials in ((banded_task(), TRIALS), (tiny_task(), 22)):
        _restore(suspect, task, trials)
    task = whole_task()
    first = suspect.make(task, 1)
    before = play(first, task, LATE)
    second = _restored(suspect, task, first, before)
    one, other = (play(controller, task, AFTERWARDS, LATE) for controller in (first, second))
    _require(one == other, f"restored after {LATE} trials {DIFFERS}")


def looking_changes_nothing(suspect: Suspect) -> None:
    """Propose the same whether or not the state is taken between proposals, as a search does."""
    task = banded_task()
    looked_at, other = suspect.make(task, 3), suspect.make(task, 3)
    for number in range(TRIALS):
        proposals = [ask(controller, 1) for controller in (looked_at, other)]
        guarded("state_dict()", partial(_state, looked_at))
        _require(proposals[0] == proposals[1], f"after {number} trials it depends on whether state_dict() was called")
        for controller, (architecture,) in zip((looked_at, other), proposals, strict=True):
            tell(controller, [outcome(task, number, architecture)])


def _restore(suspect: Suspect, task: Task, trials: int) -> None:
    whole = play(suspect.make(task, 1), task, trials)
    for restart in RESTARTS:
        first = suspect.make(task, 1)
        before = play(first, task, restart)
        second = _restored(suspect, task, first, before)
        again = before + play(second, task, trials - restart, start=restart)
        _require(again == whole, f"restored after {restart} trials {DIFFERS}")


def _restored(suspect: Suspect, task: Task, first: Controller, proposed: Sequence[Architecture]) -> Controller:
    """Return a fresh controller of another seed with the first one's state."""
    state = guarded("state_dict()", partial(_state, first))
    second = suspect.make(task, seed=99)
    guarded("load_state_dict()", partial(second.load_state_dict, state))
    second.remember(proposed)
    return second


def restored_with_trials_outstanding(suspect: Suspect) -> None:
    """Restore while trials are running: what is told of them afterwards is understood."""
    task = banded_task()
    first = suspect.make(task, 1)
    asked = ask(first, 8)
    tell(first, [outcome(task, number, one) for number, one in enumerate(asked[:3])])
    second = _restored(suspect, task, first, asked)
    proposals = []
    for controller in (first, second):
        tell(controller, [outcome(task, number + 3, one) for number, one in enumerate(asked[3:])])
        proposals.append(play(controller, task, 20, start=8))
    _require(proposals[0] == proposals[1], "restored with trials outstanding it proposes something else")


def anothers_state_is_refused(suspect: Suspect) -> None:
    """Refuse a state that is another controller's."""
    controller = suspect.make(banded_task())
    try:
        controller.load_state_dict({**controller.state_dict(), "name": "another"})
    except InputError:
        return
    raise InputError("load_state_dict takes another controller's state; let it check the name as the base class does")


def sixty_four_outstanding(suspect: Suspect) -> None:
    """Propose 64 different networks before anything is known, and hear of them in any order."""
    task = whole_task()
    controller = suspect.make(task)
    proposed = ask(controller, OUTSTANDING)
    keys = {task.domain.key(architecture) for architecture in proposed}
    _require(len(keys) == OUTSTANDING, f"asked for {OUTSTANDING} at once it gave {len(keys)} different networks")
    tell(controller, [outcome(task, number, one) for number, one in enumerate(proposed)][::-1])
    again = keys & {task.domain.key(architecture) for architecture in ask(controller, OUTSTANDING)}
    _require(not again, f"{len(again)} networks are proposed a second time")


def failures_are_survived(suspect: Suspect) -> None:
    """Go on when nothing but failures and prunings is told."""
    task = banded_task()
    controller = suspect.make(task)
    for number in range(30):
        (architecture,) = ask(controller, 1)
        status, error = ("failed", "out of memory") if number % 3 else ("pruned", None)
        metrics = {} if number % 3 else {"accuracy": 0.1}
        tell(controller, [Trial(number, architecture, status, metrics, error=error)])  # type: ignore[arg-type]
    _require(len(ask(controller, 3)) == 3, "after 30 failures it proposes nothing more")


def a_small_space_is_proposed_whole(suspect: Suspect) -> None:
    """Propose every network of a space smaller than the number of trials, then nothing."""
    for batch in (1, 7):
        task = tiny_task()
        controller = suspect.make(task)
        proposed: list[Architecture] = []
        while new := ask(controller, batch):
            tell(controller, [outcome(task, len(proposed) + index, one) for index, one in enumerate(new)])
            proposed += new
            _require(len(proposed) <= 24, "a space of 24 networks gave more than 24 proposals")
        _require(len(proposed) == 24, f"of a space of 24 networks it proposed only {len(proposed)}")
        _require(not ask(controller, 3), "an exhausted space is proposed anew")


def it_pickles(suspect: Suspect) -> None:
    """Survive being pickled in the middle of a search."""
    task = tiny_task()
    controller = suspect.make(task)
    play(controller, task, 10)
    copy = guarded("pickling", lambda: pickle.loads(pickle.dumps(controller)))  # noqa: S301 (our own bytes)
    _require(play(copy, task, 10, 10) == play(controller, task, 10, 10), "its unpickled copy proposes something else")


CHECKS: dict[str, Callable[[Suspect], None]] = {
    "in the space, in the band, never twice": in_space_in_band_never_twice,
    "one seed, one result": one_seed_one_result,
    "the same in another process": the_same_in_another_process,
    "the same whether looked at or not": looking_changes_nothing,
    "a restored one goes on alike": a_restored_one_goes_on_alike,
    "restored with trials outstanding": restored_with_trials_outstanding,
    "another's state is refused": anothers_state_is_refused,
    "64 outstanding, told in any order": sixty_four_outstanding,
    "failures are survived": failures_are_survived,
    "a small space is proposed whole, then nothing": a_small_space_is_proposed_whole,
    "pickles": it_pickles,
}


def outcome(task: Task, number: int, architecture: Architecture) -> Trial:
    """Return a trial's result, which depends on its genes; every seventh fails."""
    if number % 7 == 3:
        return Trial(number, architecture, "failed", error="diverged: loss is nan")
    accuracy = 0.5 + sum((gene + 1) * (index % 3) for index, gene in enumerate(architecture.genes)) / 1000
    known = task.domain.costs(np.array([architecture.genes], dtype=np.int64))
    metrics = {"accuracy": accuracy, **{name: float(values[0]) for name, values in known.items()}}
    reward = float(task.reward.many({name: np.array([value]) for name, value in metrics.items()})[0])
    return Trial(number, architecture, "ok", metrics, reward)


def play(controller: Controller, task: Task, count: int, start: int = 0) -> list[Architecture]:
    """Ask and tell one trial after another; return what was proposed.

    Raises:
        InputError: if the controller fails, or proposes too little.
    """
    proposed: list[Architecture] = []
    for number in range(start, start + count):
        new = ask(controller, 1)
        _require(len(new) == 1, f"asked for one network it gave {len(new)}, after {number}")
        proposed += new
        tell(controller, [outcome(task, number, new[0])])
    return proposed


def ask(controller: Controller, count: int) -> list[Architecture]:
    """Ask for proposals.

    Raises:
        InputError: with what the controller raised, or if it gave something else.
    """
    proposals = guarded(f"ask({count})", partial(controller.ask, count))
    _require(isinstance(proposals, list) and len(proposals) <= count, f"ask({count}) gave {proposals!r:.100}")
    return proposals


def tell(controller: Controller, trials: Sequence[Trial]) -> None:
    """Tell trials.

    Raises:
        InputError: with what the controller raised.
    """
    statuses = "/".join(dict.fromkeys(trial.status for trial in trials))
    guarded(f"tell() of trials that are {statuses}", partial(controller.tell, trials))


def print_proposals(name: str, options: str) -> None:
    """Print what a controller proposes, for a comparison with another process."""
    task = banded_task()
    proposed = play(Suspect(name, json.loads(options)).make(task, 5), task, 25)
    print(json.dumps([list(architecture.genes) for architecture in proposed]))


def guarded(what: str, call: Callable[[], Result]) -> Result:
    """Call something of the controller's own and word what it raises.

    Raises:
        InputError: with the exception's type, message and line.
    """
    try:
        return call()
    except InputError:
        raise
    except (Exception, SystemExit) as error:
        raise InputError(f"{what} raised {describe(error)}") from error


def _state(controller: Controller) -> Any:
    return json.loads(json.dumps(controller.state_dict()))


def _require(kept: bool, otherwise: str) -> None:
    if not kept:
        raise InputError(otherwise)
