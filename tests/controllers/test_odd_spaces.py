"""Spaces in which not every genotype makes a network, or none is cheap to look at."""

from __future__ import annotations

import json

import numpy as np
import pytest

from nas.controllers.predictor.features import MOST_SPREAD, Features
from nas.controllers.predictor.inner_search import best_candidates
from nas.controllers.registry import CONTROLLERS, make_controller
from nas.controllers.task import Numbers, Task
from nas.core.errors import InputError
from nas.core.records import Architecture, Status, Trial
from nas.evaluate.cost.domain import LimitedDomain, ListedDomain
from nas.evaluate.cost.known_costs import KnownCosts
from nas.evaluate.cost.make_domain import limited_domain
from nas.evaluate.objective.limits import Limit, Limits
from nas.evaluate.objective.reward import Factor, Reward
from nas.search_spaces.domain import Columns, Domain, Genes
from nas.search_spaces.network import Network
from nas.search_spaces.parts import Head, Stage, Stem
from nas.search_spaces.stage_table import StageTableSpace
from tests.toys import TINY_FORM, PlainSpace

SMALL = {"predictor": {"candidates": 500, "initial": 4}, "rl": {"hidden": 8}}


class Picky:
    """Decodes only where the first gene is even."""

    name, gene_sizes = "picky", (4, 4, 4, 4)

    def decode(self, architecture: Architecture) -> Network:
        first, *others = architecture.genes
        if first % 2:
            raise InputError("the first gene is odd")
        stages = [Stage(channels=8 * (1 + gene), expand=2, stride=1 + index % 2) for index, gene in enumerate(others)]
        return Network(32, 10, Stem(channels=8), tuple(stages), Head(channels=32 * (1 + first)))


class Generous(Picky):
    """Says costs of what it cannot decode, too."""

    name = "generous"

    def costs(self, genes: Genes) -> Columns:
        return {"macs": 1000 * (1 + genes.sum(axis=1))}


class Scarce(Picky):
    """Decodes one genotype in sixty-four."""

    name = "scarce"

    def decode(self, architecture: Architecture) -> Network:
        if architecture.genes[:3] != (0, 3, 1):
            raise InputError("no such network")
        return super().decode(architecture)


class Raising(Picky):
    """Raises for a batch of costs with one bad genotype in it."""

    name = "raising"

    def costs(self, genes: Genes) -> Columns:
        if (genes[:, 0] % 2).any():
            raise InputError("the first gene is odd")
        return {"macs": 1000 * (1 + genes.sum(axis=1))}


def value(architecture: Architecture) -> float:
    return 0.5 + sum(architecture.genes[1:]) / 30


def play(domain: Domain, name: str, trials: int, reward: Reward | None = None) -> list[Architecture]:
    controller = make_controller(name, Task(domain, reward or Reward()), 0, SMALL.get(name, {}))
    proposed: list[Architecture] = []
    while len(proposed) < trials and (new := controller.ask(4)):
        for architecture in new:
            metrics = {"accuracy": value(architecture), "macs": 1e6}
            controller.tell([Trial(len(proposed), architecture, "ok", metrics, value(architecture))])
            proposed.append(architecture)
    return proposed


@pytest.mark.parametrize("name", CONTROLLERS)
@pytest.mark.parametrize("space", [Picky(), Generous(), Raising()], ids=lambda space: space.name)
def test_only_networks_are_proposed(name: str, space: Picky) -> None:
    domain = LimitedDomain(space, KnownCosts(space), Limits())
    proposed = play(domain, name, 40)
    assert len(set(proposed)) == 40
    assert all(architecture.genes[0] % 2 == 0 for architecture in proposed)


@pytest.mark.parametrize("name", CONTROLLERS)
def test_where_hardly_anything_makes_a_network(name: str) -> None:
    space = Scarce()
    domain = limited_domain(space, KnownCosts(space), Limits((Limit("macs", 1e9),)))
    assert {architecture.genes for architecture in play(domain, name, 9)} == {(0, 3, 1, last) for last in range(4)}


def test_the_predictor_is_not_misled_by_what_cannot_be_built() -> None:
    space = Generous()
    domain = LimitedDomain(space, KnownCosts(space), Limits())
    proposed = play(domain, "predictor", 24, Reward((Factor("macs", 10_000),)))
    assert max(map(value, proposed)) == pytest.approx(0.8)


def test_nothing_is_counted_where_everything_fails() -> None:
    space = Scarce()
    known = KnownCosts(space)
    genes = np.ones((5, 4), dtype=np.int64)
    assert np.isnan(known.columns(genes)["macs"]).all()
    assert not LimitedDomain(space, known, Limits()).inside(genes).any()


@pytest.mark.parametrize("name", CONTROLLERS)
def test_what_is_examined_and_refused_is_never_proposed(name: str) -> None:
    space = StageTableSpace(TINY_FORM)

    def examine(architecture: Architecture) -> None:
        if architecture.genes[0] == 0:
            raise InputError("the first gene is 0")

    domain = limited_domain(space, KnownCosts(space), Limits((Limit("macs", 1e12),)), examine)
    controller = make_controller(name, Task(domain), 0, SMALL.get(name, {}))
    proposed = []
    while new := controller.ask(3):
        proposed += new
        controller.tell([trial(number, one) for number, one in enumerate(new)])
    assert proposed
    assert all(architecture.genes[0] for architecture in proposed)
    assert len({domain.key(architecture) for architecture in proposed}) == len(proposed)


class Dominated(Domain):
    """Two networks of which one has nearly all of the genotypes; too many to list."""

    def key(self, architecture: Architecture) -> bool:
        return architecture.genes[:6] == (0,) * 6


@pytest.mark.parametrize("name", ["random", "evolution", "predictor"])
def test_a_rare_network_is_found_where_nobody_can_list(name: str) -> None:
    domain = Dominated(PlainSpace("dominated", (3,) * 12))
    assert domain.listable is None
    controller = make_controller(name, Task(domain), 0, SMALL.get(name, {}))
    first = controller.ask(1)
    controller.tell([trial(0, first[0])])
    assert len(controller.ask(1)) == 1


class Redundant(Domain):
    """Genotypes of which the last genes do nothing."""

    def key(self, architecture: Architecture) -> tuple[int, ...]:
        return architecture.genes[:5]


def test_copies_of_networks_do_not_crowd_out_the_predictors_candidates() -> None:
    domain = Redundant(PlainSpace("redundant", (3,) * 14))
    controller = make_controller("predictor", Task(domain), 0, {"initial": 4, "candidates": 2000})
    keys = []
    for number in range(60):
        (architecture,) = controller.ask(1)
        keys.append(domain.key(architecture))
        controller.tell([trial(number, architecture)])
    assert len(set(keys)) == 60
    assert controller.filled == 0
    assert len(json.dumps(controller.state_dict())) < 40_000


def test_a_table_with_gaps_is_gone_through_whole() -> None:
    space = PlainSpace("gaps", (5,) * 8)
    generator = np.random.default_rng(0)
    drawn = np.unique(generator.integers(0, 5, size=(4000, 8)), axis=0).tolist()
    rows = [Architecture("gaps", tuple(genes)) for genes in drawn]
    domain = ListedDomain(space, KnownCosts(space), Limits(), rows, "the rows")
    assert domain.sparse
    scored = []

    def score(genes: Genes) -> Numbers:
        scored.append(len(genes))
        return np.asarray(genes.sum(axis=1), dtype=np.float64)

    found, scores = best_candidates(domain, score, generator, np.zeros((0, 8), dtype=np.int64), len(rows))
    assert sum(scored) == len(rows)
    assert scores[0] == max(sum(genes) for genes in drawn) == found[0].sum()
    scored.clear()
    some, _ = best_candidates(domain, score, generator, found[:3], 500)
    assert 500 <= sum(scored) <= 500 + 3 * (1 + 8 * 4)
    assert {tuple(row) for row in found[:3].tolist()} <= {tuple(row) for row in some.tolist()}
    assert domain.inside(some).all()


def test_costs_of_a_table_are_worked_out_once() -> None:
    asked: list[Architecture] = []

    def more(architecture: Architecture) -> dict[str, float]:
        asked.append(architecture)
        return {"macs": 1.0 + sum(architecture.genes)}

    space = PlainSpace("gaps", (5,) * 8)
    rows = [Architecture("gaps", (0, 1, 2, 3, 4, 0, 0, last)) for last in range(5)]
    domain = ListedDomain(space, KnownCosts(space, more=more), Limits(), rows, "the rows")
    some = np.array([rows[3].genes, rows[1].genes])
    assert domain.costs(some)["macs"].tolist() == [14.0, 12.0]
    before = len(asked)
    assert domain.costs(some)["macs"].tolist() == [14.0, 12.0]
    assert len(asked) == before
    assert domain.costs(np.array([[1] * 8]))["macs"].tolist() == [9.0]


def test_genes_of_hundreds_of_kinds_are_told_apart() -> None:
    features = Features((300, 60, 3))
    rows = features.of(np.array([[kind, kind % 60, kind % 3] for kind in range(300)]), {})
    assert len(np.unique(rows.round(9), axis=0)) == 300
    for gene in range(3):
        lengths = np.square(rows[:, features.groups == gene]).sum(axis=1)
        assert lengths.mean() < 2 * MOST_SPREAD + 1e-9


@pytest.mark.slow
def test_where_larger_networks_fail_the_predictor_learns_it() -> None:
    domain = Sized(PlainSpace("sized", (4,) * 10))
    controller = make_controller("predictor", Task(domain), 0, {"candidates": 500})
    outcomes = []
    for number in range(110):
        (architecture,) = controller.ask(1)
        size = sum(architecture.genes)
        outcomes.append(size <= 10)
        status: Status = "ok" if size <= 10 else "failed"
        metrics = {"accuracy": 0.5 + size / 100, "macs": 1.0 + size} if size <= 10 else {}
        controller.tell([Trial(number, architecture, status, metrics, metrics.get("accuracy"))])
    assert sum(outcomes[-30:]) >= 24


class Sized(Domain):
    """Its cost is known."""

    def costs(self, genes: Genes) -> Columns:
        return {"macs": 1.0 + genes.sum(axis=1)}


def trial(number: int, architecture: Architecture) -> Trial:
    accuracy = value(architecture) % 1
    return Trial(number, architecture, "ok", {"accuracy": accuracy, "macs": 1e6, "params": 1e6}, accuracy)
