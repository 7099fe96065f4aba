from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.core.errors import InputError
from nas.core.records import Architecture
from nas.evaluate.cost.known_costs import KnownCosts
from nas.evaluate.cost.make_domain import limited_domain
from nas.evaluate.cost.pathways import Pathways
from nas.evaluate.cost.table import CostTable
from nas.evaluate.cost.table_sampler import TableSampler
from nas.evaluate.objective.limits import Limit, Limits, macs_band
from nas.search_spaces import space as spaces
from nas.search_spaces.catalogue import load_space
from nas.search_spaces.domain import Columns, Domain, Genes
from nas.search_spaces.space import SearchSpace
from nas.search_spaces.stage_table import StageTableSpace
from tests.toys import TINY_FORM


class Summed:
    """A space with costs of its own and no stage table."""

    name = "summed"

    def __init__(self, tokens: int = 4, options: int = 5) -> None:
        self.gene_sizes = (options,) * tokens

    def costs(self, genes: np.ndarray) -> dict[str, np.ndarray]:
        return {"macs": 100 + (genes * 7 ** np.arange(genes.shape[1])).sum(1)}


def band(low: int, high: int) -> Limits:
    return Limits((Limit("macs", high, low, "--target-flops"),))


def domain(space: SearchSpace, low: int, high: int) -> Domain:
    return limited_domain(space, KnownCosts(space), band(low, high))


def macs_by_genotype(space: SearchSpace) -> dict[Architecture, float]:
    costs = KnownCosts(space)
    return {architecture: costs(architecture)["macs"] for architecture in spaces.enumerate_space(space)}


def test_the_band_of_a_target() -> None:
    for target, tolerance, low, high in (
        (400e6, 0.1, 360_000_000, 400_000_000),
        (1000, 0, 1000, 1000),
        (10.5, 0.1, 10, 10),
    ):
        limit = macs_band(target, tolerance)
        assert (limit.metric, limit.low, limit.high) == ("macs", low, high)


@settings(max_examples=60)
@given(st.integers(0, 600_000), st.integers(0, 300_000))
def test_exactly_the_band_is_reached(low: int, width: int) -> None:
    """Against brute force: nothing outside, everything inside, and empty exactly when nothing is inside."""
    space = StageTableSpace(TINY_FORM)
    inside = {item for item, macs in macs_by_genotype(space).items() if low <= macs <= low + width}
    try:
        found = domain(space, low, low + width)
    except InputError:
        assert not inside
        return
    assert set(found.members() or ()) == inside
    generator = np.random.default_rng(0)
    assert {found.sample(generator) for _ in range(20)} <= inside


def test_draws_are_uniform_inside_the_band() -> None:
    """Chi-squared against brute force, through the sampler's own draws rather than its list."""
    space = StageTableSpace(TINY_FORM)
    table = CostTable(space)
    macs = sorted(macs_by_genotype(space).values())
    low, high = int(macs[12]), int(macs[36])
    expected = [item.genes for item, value in macs_by_genotype(space).items() if low <= value <= high]
    sampler = TableSampler(table, band(low, high))
    pathways = Pathways(table, sampler.bounds, 2**13)
    drawn = sampler.draw_inside(pathways, np.random.default_rng(3), 12_000)
    draws = len(drawn)
    assert draws > 2000
    counts = Counter(map(tuple, drawn.tolist()))
    assert set(counts) == set(expected)
    mean = draws / len(expected)
    chi_squared = sum((counts[genes] - mean) ** 2 / mean for genes in expected)
    degrees = len(expected) - 1
    assert chi_squared < degrees + 4 * np.sqrt(2 * degrees)


@pytest.mark.parametrize("target", [52e6, 60e6, 100e6, 400e6, 880e6, 980e6])
def test_every_target_in_range_is_met_in_a_large_space(target: float) -> None:
    space = load_space("efficientnet")
    found = limited_domain(space, KnownCosts(space), Limits((macs_band(target, 0.1),)))
    generator = np.random.default_rng(0)
    drawn = [found.sample(generator) for _ in range(50)]
    assert all(item is not None and found.admits(item) for item in drawn)
    assert len(set(drawn)) > 30


def test_thin_bands_are_decided() -> None:
    space = load_space("efficientnet")
    generator = np.random.default_rng(0)
    thin = domain(space, 400_000_000, 400_000_100)
    for _ in range(3):
        drawn = thin.sample(generator)
        assert drawn is not None and 400_000_000 <= KnownCosts(space)(drawn)["macs"] <= 400_000_100
    with pytest.raises(InputError, match="the nearest to the target has"):
        domain(space, 51_594_769, 51_594_770)


@pytest.mark.parametrize(("target", "nearest"), [(1e3, "51,594,768"), (2e9, "884,060,256")])
def test_an_empty_band_names_the_range_and_the_nearest(target: float, nearest: str) -> None:
    space = load_space("efficientnet")
    with pytest.raises(InputError) as caught:
        limited_domain(space, KnownCosts(space), Limits((macs_band(target, 0.1),)))
    message = str(caught.value)
    assert "51,594,768" in message and "884,060,256" in message
    assert f"the nearest to the target has {nearest}" in message


def test_the_nearest_inside_a_gap() -> None:
    space = StageTableSpace(TINY_FORM)
    macs = sorted(set(macs_by_genotype(space).values()))
    low, high = max(pairwise(macs), key=lambda pair: pair[1] - pair[0])
    with pytest.raises(InputError, match=f"nearest to the target has {int(high):,}"):
        domain(space, int(low) + 1, int(high) - 1)


@pytest.mark.parametrize("tokens", [4, 12])
def test_spaces_without_stage_tables(tokens: int) -> None:
    space = Summed(tokens)
    top = int(100 + 4 * sum(7**index for index in range(tokens)))
    found = domain(space, top // 2, top * 6 // 10)
    generator = np.random.default_rng(0)
    for _ in range(30):
        drawn = found.sample(generator)
        assert drawn is not None and found.admits(drawn)
    with pytest.raises(InputError, match="the nearest to the target"):
        domain(space, 1, 99)


def test_domain_without_a_band() -> None:
    space = Summed(2, 3)
    whole = Domain(space)
    assert len(list(whole.members() or ())) == 9
    assert Domain(load_space("efficientnet")).members() is None


class Unlisted:
    """Too large to list; its costs add up."""

    name, gene_sizes = "unlisted", (4,) * 16

    def costs(self, genes: Genes) -> Columns:
        return {"macs": 1000 + (genes * np.arange(1, 17)).sum(axis=1)}


@pytest.mark.parametrize("high", [10, 10**9])
def test_a_message_names_both_ends_of_a_space_that_nobody_can_list(high: int) -> None:
    space = Unlisted()
    with pytest.raises(InputError, match=r"The networks that were found have 1,000 \(.*\) to 1,408 \("):
        limited_domain(space, KnownCosts(space), band(high - 5, high))
