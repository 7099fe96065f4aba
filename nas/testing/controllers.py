"""The contract checks of a controller: properties that every search needs, checked on small tasks with made-up rewards.

Each check is a function that raises ``InputError`` at the first violation. The same checks are used as tests of every
shipped controller.
"""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

from nas.controllers.controller import Controller
from nas.controllers.task import Task
from nas.core.errors import InputError
from nas.core.records import Architecture, Trial
from nas.search_spaces import space as spaces
from nas.testing.toy_tasks import (
    ControllerSpec,
    ask,
    banded_task,
    guarded,
    made_up_trial,
    play,
    require,
    tell,
    tiny_task,
    whole_task,
)

TRIALS, OUTSTANDING = 40, 64
RESTARTS = (0, 3, 20)
LATE, AFTERWARDS = 110, 8  # trials before and after a late restart, when the first generations have been replaced
DIFFERS = (
    "the controller gives other proposals; own_state has to return everything that decides proposals, and "
    "load_own_state has to restore it"
)
ELSEWHERE = "import sys; from nas.testing.controllers import print_proposals; print_proposals(*sys.argv[1:])"


def check_controller(name: str, options: Mapping[str, Any] = MappingProxyType({})) -> list[str]:
    """Run every check of the contract on a controller.

    Args:
        name: the name as for ``nas search --controller``: a shipped name, ``optuna:SAMPLER`` or FILE.py:Class.
        options: options of the controller.

    Returns:
        The names of the checks, all of which passed.

    Raises:
        InputError: at the first violation.
    """
    return list(run_controller_checks(ControllerSpec(name, options)))


def run_controller_checks(spec: ControllerSpec) -> Iterator[str]:
    """Run every check and yield the name of each one that passes.

    Raises:
        InputError: at the first violation.
    """
    for name, check in CONTROLLER_CHECKS.items():
        try:
            check(spec)
        except InputError as error:
            raise InputError(f"controller {spec.name}: {name}: {error}") from error
        yield name


def remarks(spec: ControllerSpec) -> list[str]:
    """Return remarks on behaviour that keeps the contract, but may be unintended."""
    task = banded_task()
    controller = spec.make(task)
    play(controller, task, TRIALS)
    if not controller.filled:
        return []
    return [
        f"of {TRIALS} proposals {controller.filled} were drawn at random, since propose() gave nothing new inside the "
        f"band in {controller.attempts} attempts"
    ]


def in_space_in_band_never_twice(spec: ControllerSpec) -> None:
    """Check that only architectures of the domain are proposed, and no network twice."""
    for task in (whole_task(), banded_task()):
        proposed = play(spec.make(task), task, TRIALS)
        for architecture in proposed:
            spaces.check(task.domain.space, architecture)
            require(task.domain.admits(architecture), f"{architecture.genes} is outside the band")
        different = len({task.domain.key(architecture) for architecture in proposed})
        require(different == TRIALS, f"of {TRIALS} proposals only {different} are different networks")


def one_seed_one_result(spec: ControllerSpec) -> None:
    """Check that the same seed gives the same proposals, and another seed gives others."""
    task = banded_task()
    first, second, other = (play(spec.make(task, seed), task, TRIALS) for seed in (5, 5, 6))
    require(first == second, "two runs with one seed differ; take every random number from self.generator")
    require(first != other, "two seeds give the same proposals; take random numbers from self.generator")


def the_same_in_another_process(spec: ControllerSpec) -> None:
    """Check that a fresh process, where hashes differ, gives the same proposals."""
    task = banded_task()
    expected = [list(architecture.genes) for architecture in play(spec.make(task, 5), task, 25)]
    command = [sys.executable, "-c", ELSEWHERE, spec.name, json.dumps(dict(spec.options))]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    require(result.returncode == 0, f"a fresh process failed: {result.stderr.strip().splitlines()[-1:]}")
    same = json.loads(result.stdout.splitlines()[-1]) == expected
    require(same, "another process gives other proposals for the same seed (does it use sets or a clock?)")


def a_restored_one_goes_on_alike(spec: ControllerSpec) -> None:
    """Check that a controller restored from JSON after some trials gives the same proposals as without a restart."""
    for task, trials in ((banded_task(), TRIALS), (tiny_task(), 22)):
        _restore(spec, task, trials)
    task = whole_task()
    first = spec.make(task, 1)
    before = play(first, task, LATE)
    second = _restored(spec, task, first, before)
    one, other = (play(controller, task, AFTERWARDS, LATE) for controller in (first, second))
    require(one == other, f"restored after {LATE} trials {DIFFERS}")


def looking_changes_nothing(spec: ControllerSpec) -> None:
    """Check that calls of ``state_dict`` between proposals, as in a search, do not change the proposals."""
    task = banded_task()
    looked_at, other = spec.make(task, 3), spec.make(task, 3)
    for number in range(TRIALS):
        proposals = [ask(controller, 1) for controller in (looked_at, other)]
        guarded("state_dict()", partial(_state, looked_at))
        require(
            proposals[0] == proposals[1],
            f"after {number} trials the proposal depends on whether state_dict() was called",
        )
        for controller, (architecture,) in zip((looked_at, other), proposals, strict=True):
            tell(controller, [made_up_trial(task, number, architecture)])


def _restore(spec: ControllerSpec, task: Task, trials: int) -> None:
    whole = play(spec.make(task, 1), task, trials)
    for restart in RESTARTS:
        first = spec.make(task, 1)
        before = play(first, task, restart)
        second = _restored(spec, task, first, before)
        again = before + play(second, task, trials - restart, start=restart)
        require(again == whole, f"restored after {restart} trials {DIFFERS}")


def _restored(spec: ControllerSpec, task: Task, first: Controller, proposed: Sequence[Architecture]) -> Controller:
    """Return a fresh controller with another seed and the state of the first one."""
    state = guarded("state_dict()", partial(_state, first))
    second = spec.make(task, seed=99)
    guarded("load_state_dict()", partial(second.load_state_dict, state))
    second.remember(proposed)
    return second


def restored_with_trials_outstanding(spec: ControllerSpec) -> None:
    """Check that a controller restored while trials are running learns correctly from their results."""
    task = banded_task()
    first = spec.make(task, 1)
    asked = ask(first, 8)
    tell(first, [made_up_trial(task, number, one) for number, one in enumerate(asked[:3])])
    second = _restored(spec, task, first, asked)
    proposals = []
    for controller in (first, second):
        tell(controller, [made_up_trial(task, number + 3, one) for number, one in enumerate(asked[3:])])
        proposals.append(play(controller, task, 20, start=8))
    require(proposals[0] == proposals[1], "restored while trials are running, the controller gives other proposals")


def anothers_state_is_refused(spec: ControllerSpec) -> None:
    """Check that the state of another controller is refused."""
    controller = spec.make(banded_task())
    try:
        controller.load_state_dict({**controller.state_dict(), "name": "another"})
    except InputError:
        return
    raise InputError("load_state_dict accepts another controller's state; check the name as the base class does")


def sixty_four_outstanding(spec: ControllerSpec) -> None:
    """Check that 64 different networks are proposed before any result, and that results may be told in any order."""
    task = whole_task()
    controller = spec.make(task)
    proposed = ask(controller, OUTSTANDING)
    keys = {task.domain.key(architecture) for architecture in proposed}
    require(len(keys) == OUTSTANDING, f"asked for {OUTSTANDING} at once, it gave {len(keys)} different networks")
    tell(controller, [made_up_trial(task, number, one) for number, one in enumerate(proposed)][::-1])
    again = keys & {task.domain.key(architecture) for architecture in ask(controller, OUTSTANDING)}
    require(not again, f"{len(again)} networks are proposed a second time")


def failures_are_survived(spec: ControllerSpec) -> None:
    """Check that proposals continue after only failed and pruned trials."""
    task = banded_task()
    controller = spec.make(task)
    for number in range(30):
        (architecture,) = ask(controller, 1)
        status, error = ("failed", "out of memory") if number % 3 else ("pruned", None)
        metrics = {} if number % 3 else {"accuracy": 0.1}
        tell(controller, [Trial(number, architecture, status, metrics, error=error)])  # type: ignore[arg-type]
    require(len(ask(controller, 3)) == 3, "after 30 failed or pruned trials it gives fewer than 3 proposals")


def a_small_space_is_proposed_whole(spec: ControllerSpec) -> None:
    """Check that every network of a space smaller than the number of trials is proposed, and then nothing."""
    for batch in (1, 7):
        task = tiny_task()
        controller = spec.make(task)
        proposed: list[Architecture] = []
        while new := ask(controller, batch):
            tell(controller, [made_up_trial(task, len(proposed) + index, one) for index, one in enumerate(new)])
            proposed += new
            require(len(proposed) <= 24, "a space of 24 networks gave more than 24 proposals")
        require(len(proposed) == 24, f"of a space of 24 networks it proposed only {len(proposed)}")
        require(not ask(controller, 3), "it gives proposals again after the space is exhausted")


def it_pickles(spec: ControllerSpec) -> None:
    """Check that a copy pickled in the middle of a search gives the same proposals."""
    task = tiny_task()
    controller = spec.make(task)
    play(controller, task, 10)
    copy = guarded("pickling", lambda: pickle.loads(pickle.dumps(controller)))  # noqa: S301 (our own bytes)
    require(play(copy, task, 10, 10) == play(controller, task, 10, 10), "its unpickled copy gives other proposals")


CONTROLLER_CHECKS: dict[str, Callable[[ControllerSpec], None]] = {
    "in the space, in the band, never twice": in_space_in_band_never_twice,
    "same seed, same proposals": one_seed_one_result,
    "same proposals in another process": the_same_in_another_process,
    "same proposals with and without state_dict()": looking_changes_nothing,
    "same proposals after a restart": a_restored_one_goes_on_alike,
    "restored while trials are running": restored_with_trials_outstanding,
    "state of another controller is refused": anothers_state_is_refused,
    "64 running trials, told in any order": sixty_four_outstanding,
    "failed and pruned trials are handled": failures_are_survived,
    "a small space is proposed completely, then nothing": a_small_space_is_proposed_whole,
    "pickles": it_pickles,
}


def print_proposals(name: str, options: str) -> None:
    """Print a controller's proposals, for a comparison with another process."""
    task = banded_task()
    proposed = play(ControllerSpec(name, json.loads(options)).make(task, 5), task, 25)
    print(json.dumps([list(architecture.genes) for architecture in proposed]))


def _state(controller: Controller) -> Any:
    return json.loads(json.dumps(controller.state_dict()))
