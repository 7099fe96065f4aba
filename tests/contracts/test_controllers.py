"""The suite every controller passes."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from nas.controllers.controller import Controller
from nas.controllers.registry import CONTROLLERS, check_controller, controller_options, make_controller
from nas.evaluate.known_costs import KnownCosts
from nas.evaluate.limited_domain import limited_domain
from nas.evaluate.limits import Limits, macs_band
from nas.search_spaces import space as spaces
from nas.search_spaces.catalogue import load_space
from nas.search_spaces.domain import Domain
from nas.search_spaces.errors import InputError
from nas.search_spaces.records import Architecture, Trial
from nas.search_spaces.stage_table_space import StageTableSpace
from tests.toys import ROOT, TINY_FORM


@dataclass(frozen=True)
class Case:
    name: str
    make_domain: Callable[[], Domain]


def _banded() -> Domain:
    space = load_space("efficientnet")
    return limited_domain(space, KnownCosts(space), Limits((macs_band(300e6, 0.05),)))


DOMAINS = [Case("whole", lambda: Domain(load_space("small-images"))), Case("banded", _banded)]
pytestmark = pytest.mark.parametrize("name", CONTROLLERS)


def make(name: str, domain: Domain, seed: int = 0) -> Controller:
    options = {"population": 6, "sample": 3} if name == "evolution" else {}
    return make_controller(name, domain, seed, options)


def outcome(number: int, architecture: Architecture) -> Trial:
    """A trial's result, which depends on its genes; every seventh fails."""
    if number % 7 == 3:
        return Trial(number, architecture, "failed", error="diverged: loss is nan")
    reward = 0.5 + sum((gene + 1) * (index % 3) for index, gene in enumerate(architecture.genes)) / 1000
    return Trial(number, architecture, "ok", {"accuracy": reward}, reward)


def play(controller: Controller, count: int, start: int = 0) -> list[Architecture]:
    proposed: list[Architecture] = []
    for number in range(start, start + count):
        (architecture,) = controller.ask(1)
        proposed.append(architecture)
        controller.tell([outcome(number, architecture)])
    return proposed


@pytest.mark.parametrize("case", DOMAINS, ids=lambda case: case.name)
def test_in_space_in_band_and_never_twice(name: str, case: Case) -> None:
    domain = case.make_domain()
    proposed = play(make(name, domain), 80)
    for architecture in proposed:
        spaces.check(domain.space, architecture)
        assert domain.admits(architecture)
    assert len({domain.key(architecture) for architecture in proposed}) == 80


@pytest.mark.parametrize("case", DOMAINS, ids=lambda case: case.name)
def test_one_seed_one_result(name: str, case: Case) -> None:
    first, second = (play(make(name, case.make_domain(), seed=5), 30) for _ in range(2))
    assert first == second
    assert play(make(name, case.make_domain(), seed=6), 30) != first


def test_the_same_in_another_process(name: str) -> None:
    code = (
        "from tests.contracts.test_controllers import _banded, make, play\n"
        f"print([a.genes for a in play(make({name!r}, _banded(), 5), 25)])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert result.stdout.strip() == str([a.genes for a in play(make(name, _banded(), 5), 25)])


@pytest.mark.parametrize("restart", [0, 3, 20])
def test_a_restored_controller_goes_on_as_if_nothing_had_happened(name: str, restart: int) -> None:
    domain = _banded()
    whole = play(make(name, domain, 1), 40)
    first = make(name, domain, 1)
    before = play(first, restart)
    state = json.loads(json.dumps(first.state_dict()))
    second = make(name, domain, seed=99)
    second.load_state_dict(state)
    second.remember(before)
    assert before + play(second, 40 - restart, start=restart) == whole


def test_anothers_state_is_refused(name: str) -> None:
    controller = make(name, _banded())
    with pytest.raises(InputError, match="expected the state of controller"):
        controller.load_state_dict({**controller.state_dict(), "name": "another"})


def test_sixty_four_outstanding_and_told_in_any_order(name: str) -> None:
    domain = Domain(load_space("small-images"))
    controller = make(name, domain)
    proposed = controller.ask(64)
    assert len({domain.key(architecture) for architecture in proposed}) == 64
    trials = [outcome(number, architecture) for number, architecture in enumerate(proposed)]
    controller.tell(trials[::-1])
    assert not {domain.key(a) for a in controller.ask(64)} & {domain.key(a) for a in proposed}


def test_nothing_but_failures_is_survived(name: str) -> None:
    controller = make(name, _banded())
    for number in range(20):
        controller.tell([Trial(number, controller.ask(1)[0], "failed", error="out of memory")])
    assert controller.ask(1)


@pytest.mark.parametrize("batch", [1, 7])
def test_a_small_space_is_proposed_whole_then_ends(name: str, batch: int) -> None:
    domain = Domain(StageTableSpace(TINY_FORM))
    controller = make(name, domain)
    proposed: list[Architecture] = []
    while new := controller.ask(batch):
        controller.tell([outcome(len(proposed) + index, item) for index, item in enumerate(new)])
        proposed += new
        assert len(proposed) <= 48
    assert set(proposed) == set(spaces.enumerate_space(domain.space))
    assert controller.ask(3) == []


def test_pickles(name: str) -> None:
    domain = Domain(StageTableSpace(TINY_FORM))
    controller = make(name, domain)
    play(controller, 10)
    assert play(pickle.loads(pickle.dumps(controller)), 20) == play(controller, 20)


def test_unknown_options_are_named(name: str) -> None:
    with pytest.raises(InputError, match=r"unknown key 'controller\.colour'"):
        check_controller(name, {"colour": 3})
    for key in controller_options(name):
        with pytest.raises(InputError, match=rf"controller\.{key}: expected a value of type"):
            check_controller(name, {key: "many"})
