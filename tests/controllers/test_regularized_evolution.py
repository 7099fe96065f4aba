from __future__ import annotations

import pytest

from nas.controllers.random_search import RandomSearch
from nas.controllers.regularized_evolution import RegularizedEvolution
from nas.controllers.task import Task
from nas.core.errors import InputError
from nas.core.records import Architecture, Trial
from nas.search_spaces.catalogue import load_space
from nas.search_spaces.domain import Domain


def value(architecture: Architecture) -> float:
    return sum(architecture.genes) / 100


def run(controller: RegularizedEvolution | RandomSearch, trials: int) -> list[float]:
    rewards = []
    for number in range(trials):
        (architecture,) = controller.ask(1)
        rewards.append(value(architecture))
        controller.tell([Trial(number, architecture, "ok", {}, rewards[-1])])
    return rewards


def test_children_differ_from_a_living_parent_by_one_gene() -> None:
    controller = RegularizedEvolution(Task(Domain(load_space("small-images"))), 0, population=5, sample=2)
    alive: list[Architecture] = []
    for number in range(60):
        (child,) = controller.ask(1)
        if number >= 5:
            distances = [sum(a != b for a, b in zip(child.genes, parent.genes, strict=True)) for parent in alive[-5:]]
            assert min(distances) == 1
        alive.append(child)
        controller.tell([Trial(number, child, "ok", {}, value(child))])


def test_the_oldest_dies_however_good_it_is() -> None:
    controller = RegularizedEvolution(Task(Domain(load_space("small-images"))), 0, population=3, sample=3)
    proposed = controller.ask(4)
    for number, architecture in enumerate(proposed):
        controller.tell([Trial(number, architecture, "ok", {}, 10.0 - number)])
    assert [genes for genes, _ in controller.own_state()["population"]] == [list(a.genes) for a in proposed[1:]]


def test_with_full_tournaments_the_best_is_the_parent() -> None:
    controller = RegularizedEvolution(Task(Domain(load_space("small-images"))), 0, population=4, sample=4)
    proposed = controller.ask(4)
    for number, architecture in enumerate(proposed):
        controller.tell([Trial(number, architecture, "ok", {}, 1.0 if number == 2 else 0.1)])
    for child in controller.ask(10):
        assert sum(a != b for a, b in zip(child.genes, proposed[2].genes, strict=True)) == 1


def test_it_climbs_where_random_search_does_not() -> None:
    task = Task(Domain(load_space("efficientnet")))
    evolved = [max(run(RegularizedEvolution(task, seed, population=20, sample=5), 300)) for seed in range(3)]
    drawn = [max(run(RandomSearch(task, seed), 300)) for seed in range(3)]
    assert min(evolved) > max(drawn)


@pytest.mark.parametrize("options", [{"population": 0}, {"sample": 0}, {"population": 3, "sample": 4}])
def test_impossible_sizes_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(InputError, match="controller"):
        RegularizedEvolution(Task(Domain(load_space("small-images"))), 0, **options)
