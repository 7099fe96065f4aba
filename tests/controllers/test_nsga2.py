from __future__ import annotations

import numpy as np
import pytest
from moocore import hypervolume

from nas.controllers.controller import Controller
from nas.controllers.nondominated import best_first, constrained_ranks, crowding_distances
from nas.controllers.nsga2 import NSGA2
from nas.controllers.objectives import Constraints, Objectives
from nas.controllers.random_search import RandomSearch
from nas.controllers.task import Task
from nas.core.errors import InputError
from nas.core.records import Architecture, Trial
from nas.search_spaces.domain import Domain
from tests.toys import PlainSpace

POINTS = np.array([[1.0, 5.0], [2.0, 3.0], [4.0, 1.0], [2.0, 5.0], [5.0, 5.0]])


def test_ranks_by_pareto_dominance() -> None:
    assert constrained_ranks(POINTS, np.zeros(5)).tolist() == [0, 0, 0, 1, 2]


def test_what_breaks_no_constraint_dominates_what_does_and_then_the_smaller_violation() -> None:
    violations = np.array([0.5, 0.0, 0.2, 0.0, 0.5])
    assert constrained_ranks(POINTS, violations).tolist() == [3, 0, 2, 1, 3]
    assert constrained_ranks(POINTS, np.ones(5)).tolist() == [0] * 5


def test_crowding_distances_by_hand() -> None:
    front = np.array([[0.0, 10.0], [1.0, 6.0], [4.0, 5.0], [10.0, 0.0]])
    expected = [np.inf, 4 / 10 + 5 / 10, 9 / 10 + 6 / 10, np.inf]
    assert crowding_distances(front).tolist() == pytest.approx(expected)
    assert crowding_distances(np.ones((3, 2))).tolist() == [np.inf, 0, np.inf]


def test_the_best_stand_first_and_the_crowded_last_in_their_front() -> None:
    points = np.array([[0.0, 10.0], [1.0, 6.0], [4.0, 5.0], [10.0, 0.0], [10.0, 10.0]])
    assert best_first(points, np.zeros(5)).tolist() == [0, 3, 2, 1, 4]


def trial(number: int, architecture: Architecture, metrics: dict[str, float], status: str = "ok") -> Trial:
    return Trial(number, architecture, status, metrics, metrics.get("accuracy"))  # type: ignore[arg-type]


def two_sided(architecture: Architecture) -> dict[str, float]:
    """More of the first genes is better, and dearer; the last genes cost and do nothing."""
    useful, useless = sum(architecture.genes[:6]), sum(architecture.genes[6:])
    return {"accuracy": useful / 18, "energy": useful + 5.0 * useless}


def test_it_finds_a_front_that_random_search_does_not() -> None:
    """By hypervolume of accuracy and energy, over three seeds; random search has as many trials."""
    found: dict[str, list[float]] = {"nsga2": [], "random": []}
    task = Task(Domain(PlainSpace("plain", (4,) * 10)))
    for seed in range(3):
        evolved = NSGA2(task, seed, population=20, objectives=["accuracy", "energy"])
        players: dict[str, Controller] = {"nsga2": evolved, "random": RandomSearch(task, seed)}
        for name, controller in players.items():
            points = []
            for number in range(400):
                (architecture,) = controller.ask(1)
                metrics = two_sided(architecture)
                points.append([-metrics["accuracy"], metrics["energy"]])
                controller.tell([trial(number, architecture, metrics)])
            found[name].append(hypervolume(points, ref=[0.0, 80.0]))
    best = hypervolume([[-useful / 18, useful] for useful in range(19)], ref=[0.0, 80.0])
    assert min(found["nsga2"]) > 0.9 * best > max(found["random"])


def test_bounds_of_measured_metrics_are_kept_to() -> None:
    space = PlainSpace("plain", (4,) * 10)
    controller = NSGA2(
        Task(Domain(space)), 1, population=20, objectives=["accuracy", "energy"], constraints={"energy": 25}
    )
    for number in range(300):
        (architecture,) = controller.ask(1)
        controller.tell([trial(number, architecture, two_sided(architecture))])
    assert all(member.values[1] <= 25 for member in controller._members)


def test_failures_are_no_parents() -> None:
    controller = NSGA2(Task(Domain(PlainSpace("plain", (3,) * 8))), 0, population=4, objectives=["accuracy"])
    proposed = controller.ask(8)
    for number, architecture in enumerate(proposed):
        status = "failed" if number % 2 else "ok"
        controller.tell([trial(number, architecture, {"accuracy": 0.5} if status == "ok" else {}, status)])
    assert {member.architecture for member in controller._members} <= set(proposed[::2])


@pytest.mark.parametrize(
    ("names", "signs"),
    [
        (["accuracy", "macs"], (1, -1)),
        (["reward"], (1,)),
        (["throughput", "latency_ms"], (1, -1)),
        (["accuracy_longer", "max:battery_h", "min:accuracy_loss"], (1, 1, -1)),
    ],
)
def test_directions(names: list[str], signs: tuple[int, ...]) -> None:
    found = Objectives.parse(names)
    assert found.signs == signs
    assert found.to_minimise(np.ones((1, len(names)))).tolist() == [[-sign for sign in signs]]


@pytest.mark.parametrize("names", [[], [""], ["most:accuracy"], ["macs", "min:macs"], [None]])
def test_odd_objectives_are_refused(names: list[str]) -> None:
    with pytest.raises(InputError, match=r"controller\.objectives"):
        Objectives.parse(names)


def test_violations_are_relative_and_rise_the_right_way() -> None:
    metrics = {"latency_ms": 30.0, "accuracy": 0.6, "battery": 5.0}
    objectives = Objectives.parse(["accuracy", "max:battery"])

    def violation(bounds: dict[str, float]) -> float:
        return Constraints.parse(bounds, objectives).violation(metrics)

    assert violation({"latency_ms": 20}) == pytest.approx(0.5)
    assert violation({"latency_ms": 40, "accuracy": 0.5}) == 0
    assert violation({"accuracy": 0.8}) == pytest.approx(0.25)
    assert violation({"energy": 2.0}) == 1
    assert violation({"battery": 10}) == pytest.approx(0.5)
    assert violation({"battery": 4}) == 0
    assert violation({"max:latency_ms": 60}) == pytest.approx(0.5)
