from __future__ import annotations

from nas.controllers.local_search import LocalSearch
from nas.controllers.task import Task
from nas.core.records import Architecture, Trial
from nas.search_spaces.domain import Domain
from tests.toys import PlainSpace


def distance(first: Architecture, second: Architecture) -> int:
    return sum(one != other for one, other in zip(first.genes, second.genes, strict=True))


def make(**options: int) -> LocalSearch:
    return LocalSearch(Task(Domain(PlainSpace("plain", (4,) * 10))), 0, **options)


def test_it_climbs_from_the_best_of_the_first_by_single_genes() -> None:
    controller = make(start=3, patience=1000)
    here: tuple[Architecture, float] | None = None
    number = 0
    while here is None or here[1] < 1:
        (architecture,) = controller.ask(1)
        reward = sum(architecture.genes) / 30
        if number >= 3:
            assert here is not None
            assert distance(architecture, here[0]) == 1
        if here is None or reward > here[1]:
            here = (architecture, reward)
        controller.tell([Trial(number, architecture, "ok", {}, reward)])
        number += 1
    assert number < 200


def test_without_gain_it_kicks_the_best_then_begins_anew() -> None:
    controller = make(start=2, patience=5, kick=4)
    for number in range(2):
        (architecture,) = controller.ask(1)
        controller.tell([Trial(number, architecture, "ok", {}, 0.5)])
    best = controller.own_state()["here"][0]
    for number in range(2, 7):
        controller.tell([Trial(number, controller.ask(1)[0], "failed", error="diverged")])
    kicked = controller.own_state()["here"]
    assert kicked[1] is None
    assert 1 <= sum(one != other for one, other in zip(best, kicked[0], strict=True)) <= 8
    for number in range(7, 12):
        controller.tell([Trial(number, controller.ask(1)[0], "failed", error="diverged")])
    assert controller.own_state()["here"] is None
    assert controller.own_state()["begun"] == 0


def test_where_no_neighbour_is_new_it_begins_anew_at_once() -> None:
    space = PlainSpace("plain", (2, 2, 40))
    controller = LocalSearch(Task(Domain(space)), 0, start=1, patience=1000)
    proposed = []
    for number in range(160):
        (architecture,) = controller.ask(1)
        proposed.append(architecture)
        controller.tell([Trial(number, architecture, "ok", {}, 1.0 if number == 0 else 0.1)])
    assert len(set(proposed)) == 160
    assert controller.own_state()["climb"] > 0


def test_a_climb_is_judged_by_its_own_proposals_alone() -> None:
    controller = make(start=2, patience=5, kick=4)
    first = controller.ask(2)
    controller.tell([Trial(number, one, "ok", {}, 0.5) for number, one in enumerate(first)])
    late = controller.ask(3)  # still running when the climb is over
    for number in range(2, 7):
        controller.tell([Trial(number, controller.ask(1)[0], "failed", error="diverged")])
    kicked = controller.own_state()["here"]
    assert kicked[1] is None
    controller.tell([Trial(10 + number, one, "ok", {}, 0.9) for number, one in enumerate(late)])
    assert controller.own_state()["here"] == kicked
    assert controller.own_state()["best"] == [list(late[0].genes), 0.9]
    (own,) = controller.ask(1)
    controller.tell([Trial(20, own, "ok", {}, 0.1)])
    assert controller.own_state()["here"] == [list(own.genes), 0.1]


def test_many_neighbours_at_once_do_not_end_a_climb() -> None:
    controller = make(start=1, patience=1000)
    (here,) = controller.ask(1)
    controller.tell([Trial(0, here, "ok", {}, 1.0)])
    neighbours = controller.ask(25)
    assert controller.own_state()["climb"] == 0
    assert all(distance(here, neighbour) == 1 for neighbour in neighbours)
