"""Budgets on predicted costs, such as latency, beside exact ones."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import chisquare

from nas.core.errors import InputError
from nas.evaluate.cost.known_costs import KnownCosts
from nas.evaluate.cost.make_domain import limited_domain
from nas.evaluate.cost.predicted_domain import PredictedDomain
from nas.evaluate.objective.limits import Limit, Limits, target_band
from nas.search_spaces import space as spaces
from nas.search_spaces.stage_table import StageTableSpace


class Clock:
    """A device whose latency is a known function of the genes."""

    name, note = "clock", "made up"
    metrics: tuple[str, ...] = ("latency_ms", "throughput")

    def costs(self, genes: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
        milliseconds = 1.0 + np.asarray(genes) @ np.array([3.0, 1.0, 2.0, 4.0, 0.5])
        return {"latency_ms": milliseconds, "throughput": 1000 / milliseconds}


def domain(space: StageTableSpace, *limits: Limit) -> PredictedDomain:
    found = limited_domain(space, KnownCosts(space, Clock()), Limits(limits))
    assert isinstance(found, PredictedDomain)
    return found


LATENCY = Limit("latency_ms", 7.0, 3.0, "--max-latency")
FLOOR = Limit("throughput", math.inf, 150.0, "--min-throughput")


@pytest.mark.parametrize(
    "limits", [(LATENCY,), (FLOOR,), (Limit("params", 6000, 0, "--max-params"), LATENCY), (LATENCY, FLOOR)]
)
def test_draws_are_uniform_over_what_keeps_to_all_limits(
    tiny_space: StageTableSpace, limits: tuple[Limit, ...]
) -> None:
    costs = KnownCosts(tiny_space, Clock())
    inside = {item.genes for item in spaces.enumerate_space(tiny_space) if Limits(limits).admits(costs(item))}
    assert 2 < len(inside) < 48
    found = domain(tiny_space, *limits)
    genes = found.sample_genes(np.random.default_rng(1), 2000)
    assert genes is not None
    counts = Counter(map(tuple, genes.tolist()))
    assert set(counts) == inside
    assert chisquare(list(counts.values())).pvalue > 1e-4
    one_by_one = found.sample(np.random.default_rng(2))
    assert one_by_one is not None and one_by_one.genes in inside and found.admits(one_by_one)


def test_one_generator_state_one_draw(tiny_space: StageTableSpace) -> None:
    found = domain(tiny_space, LATENCY)
    first, again = (found.sample(np.random.default_rng(5)) for _ in range(2))
    assert first == again


def test_the_nearest_is_named_where_nothing_is_inside(tiny_space: StageTableSpace) -> None:
    with pytest.raises(InputError, match=r"--max-latency: no network .* was found with at most 0.5 ms .* 1 to"):
        domain(tiny_space, Limit("latency_ms", 0.5, 0, "--max-latency"))
    with pytest.raises(InputError, match=r"--min-throughput: .* at least 5.00K images/s .* to 1000 images/s"):
        domain(tiny_space, Limit("throughput", math.inf, 5000, "--min-throughput"))
    few = Limit("params", 10, 0, "--max-params")
    with pytest.raises(InputError, match="--max-params: space 'tiny' holds no network"):
        domain(tiny_space, few, LATENCY)


def test_a_hair_s_breadth_is_reached_by_walking() -> None:
    from nas.search_spaces.catalogue import load_space

    space = load_space("efficientnet")
    assert isinstance(space, StageTableSpace)

    class Sum:
        name, note = "sum", "made up"
        metrics: tuple[str, ...] = ("latency_ms",)

        def costs(self, genes: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
            return {"latency_ms": 1.0 + np.asarray(genes, dtype=np.float64).sum(axis=1)}

    costs = KnownCosts(space, Sum())
    found = limited_domain(space, costs, Limits((Limit("latency_ms", 4.0, 0, "--max-latency"),)))
    assert isinstance(found, PredictedDomain) and found.acceptance < 1e-3
    drawn = found.sample(np.random.default_rng(0))
    assert drawn is not None and sum(drawn.genes) <= 3 and not found.uniform
    many = found.sample_genes(np.random.default_rng(0), 500)
    assert many is not None and (many.sum(axis=1) <= 3).all() and len(np.unique(many, axis=0)) > 100


def test_a_band_around_a_target() -> None:
    band = target_band("latency_ms", 3.0, 0.1, "--target-latency 3ms")
    assert band.low == pytest.approx(2.7) and band.high == 3.0
    assert str(FLOOR) == "at least 150 images/s" and FLOOR.violation({"throughput": 75}) == 0.5
    np.testing.assert_allclose(FLOOR.violations(np.array([75.0, 200.0])), [0.5, 0])


def test_other_spaces_reach_predicted_limits_too(tiny_space: StageTableSpace) -> None:
    class Decoded:
        name, gene_sizes = "decoded", tiny_space.gene_sizes
        decode = staticmethod(tiny_space.decode)

    space = Decoded()
    found = limited_domain(space, KnownCosts(space, Clock()), Limits((LATENCY,)))
    drawn = found.sample(np.random.default_rng(0))
    assert drawn is not None and 3 <= Clock().costs(np.array([drawn.genes]))["latency_ms"][0] <= 7
