"""Spaces in which not every genotype makes a network, or none is cheap to look at."""

from __future__ import annotations

import numpy as np
import pytest

from nas.controllers.registry import CONTROLLERS, make_controller
from nas.controllers.task import Task
from nas.evaluate.known_costs import KnownCosts
from nas.evaluate.limited_domain import LimitedDomain, limited_domain
from nas.evaluate.limits import Limit, Limits
from nas.evaluate.reward import Factor, Reward
from nas.search_spaces.domain import Columns, Domain, Genes
from nas.search_spaces.errors import InputError
from nas.search_spaces.network import Head, Network, Stage, Stem
from nas.search_spaces.records import Architecture, Trial

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
