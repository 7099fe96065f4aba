"""Any number of limits together: what is inside, uniformly; and if nothing is, which limit is to blame."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.core.errors import InputError
from nas.evaluate.cost.known_costs import KnownCosts
from nas.evaluate.cost.make_domain import limited_domain
from nas.evaluate.cost.pathways import Pathways
from nas.evaluate.cost.table import CostTable
from nas.evaluate.cost.table_sampler import TableSampler
from nas.evaluate.objective.limits import Limit, Limits, macs_band
from nas.search_spaces import space as spaces
from nas.search_spaces.catalogue import load_space
from nas.search_spaces.stage_table import StageTableSpace
from tests.search_spaces.test_yaml_shorthand import FORM
from tests.toys import TINY_FORM

ROWS = [
    {"op": ["conv", "dsconv", "mbconv3"], "channels": [8, 16], "kernel": [3, 5], "se": [0, 0.25]},
    {"op": ["conv", "mbconv6"], "channels": [16, 24, 40], "stride": 2, "layers": [1, 2, 3]},
    {"op": "mbconv3", "channels": [32, 48], "layers": [0, 1, 2], "kernel": [3, 7]},
]
SPACE = StageTableSpace(FORM | {"stages": ROWS})  # 5,184 genotypes
TABLE = CostTable(SPACE)
GENES = np.array([architecture.genes for architecture in spaces.enumerate_space(SPACE)])
COSTS = TABLE.costs(GENES)


def inside(limits: Limits) -> set[tuple[int, ...]]:
    """Brute force."""
    kept = np.ones(len(GENES), dtype=bool)
    for limit in limits:
        kept &= (COSTS[limit.metric] >= limit.low) & (COSTS[limit.metric] <= limit.high)
    return set(map(tuple, GENES[kept].tolist()))


def quantile(metric: str, share: float) -> int:
    return int(np.quantile(COSTS[metric], share))


@st.composite
def any_limits(draw: st.DrawFn) -> Limits:
    metrics = draw(st.sets(st.sampled_from(sorted(COSTS)), min_size=1))
    found = []
    for metric in sorted(metrics):
        high = quantile(metric, draw(st.floats(0, 1))) - draw(st.integers(0, 1))
        low = quantile(metric, draw(st.floats(0, 1))) if metric == "macs" else 0
        found.append(Limit(metric, max(low, high), low, f"--max-{metric}"))
    return Limits(tuple(found))


@settings(max_examples=80)
@given(any_limits())
def test_exactly_what_keeps_to_all_limits_is_reached(limits: Limits) -> None:
    expected = inside(limits)
    sampler = TableSampler(TABLE, limits)
    if sampler.empty:
        assert not expected
        return
    drawn = sampler.sample(np.random.default_rng(0), 300)
    assert drawn is not None and set(map(tuple, drawn.tolist())) <= expected
    if sampler.listed is not None:
        assert set(map(tuple, sampler.listed.tolist())) == expected


@settings(max_examples=40)
@given(any_limits())
def test_an_empty_budget_names_a_limit_and_how_to_meet_it(limits: Limits) -> None:
    if inside(limits):
        return
    with pytest.raises(InputError) as caught:
        limited_domain(SPACE, KnownCosts(SPACE), limits)
    message = str(caught.value)
    assert message.startswith(("target_flops", "--max-")) and "space 'short'" in message


CASES = [
    ("macs", (0.3, 0.6), {}),
    ("macs", (0.3, 0.6), {"params": 0.2}),
    ("macs", (0.3, 0.8), {"params": 0.3, "peak_activation_bytes": 0.8}),
    ("macs", (0.3, 0.8), {"memory_bytes": 0.3}),
    ("params", (0.0, 0.5), {"weight_bytes": 0.4}),
]


@pytest.mark.parametrize(("main", "band", "others"), CASES)
@pytest.mark.parametrize("tilt", [None, 1.0, 4.0])
def test_draws_are_uniform(main: str, band: tuple[float, float], others: dict[str, float], tilt: float | None) -> None:
    """Chi-squared against brute force; also with a tilt that the case does not need."""
    low, high = (quantile(main, share) for share in band)
    ceilings = [Limit(metric, quantile(metric, share)) for metric, share in others.items()]
    limits = Limits((Limit(main, high, low if main == "macs" else 0), *ceilings))
    expected = inside(limits)
    assert len(expected) > 30
    sampler = TableSampler(TABLE, limits)
    limited = sampler.bounds.main == "macs" and len(ceilings) > 0
    pathways = Pathways(TABLE, sampler.bounds, 2**13, tilt if limited and tilt else 0.0)
    generator = np.random.default_rng(5)
    pieces = [sampler.draw_inside(pathways, generator, 40_000) for _ in range(15)]
    drawn = np.concatenate(pieces)[: 40 * len(expected)]
    assert len(drawn) == 40 * len(expected)
    counts = Counter(map(tuple, drawn.tolist()))
    assert set(counts) <= expected
    chi_squared = sum((counts[genes] - 40) ** 2 / 40 for genes in expected)
    degrees = len(expected) - 1
    assert abs(chi_squared - degrees) < 5 * np.sqrt(2 * degrees)


def test_the_share_of_a_band_is_known() -> None:
    low, high = quantile("macs", 0.2), quantile("macs", 0.5)
    limits = Limits((Limit("macs", high, low),))
    sampler = TableSampler(TABLE, limits)
    assert sampler.estimated_size == pytest.approx(len(inside(limits)), rel=0.05)


@pytest.mark.parametrize("width", [1_000_000, 60_000, 5_000])
def test_thin_bands_of_a_large_space(width: int) -> None:
    space = load_space("efficientnet")
    assert isinstance(space, StageTableSpace)
    table = CostTable(space)
    limits = Limits((Limit("macs", 100_000_000, 100_000_000 - width),))
    drawn = TableSampler(table, limits).sample(np.random.default_rng(0), 500)
    assert drawn is not None
    macs = table.costs(drawn)["macs"]
    assert ((macs >= 100_000_000 - width) & (macs <= 100_000_000)).all() and len(np.unique(drawn, axis=0)) > 300


BLAME: list[tuple[list[Limit], list[str]]] = [
    ([Limit("params", 1e6, 0, "--max-params 1M")], ["--max-params 1M", "1,798,072"]),
    ([Limit("memory_bytes", 9e6, 0, "--max-memory 9MB")], ["--max-memory 9MB", "bytes of memory", "smallest value"]),
    ([macs_band(3e9, 0.1), Limit("params", 5e6, 0, "--max-params 5M")], ["target_flops", "884,060,256"]),
    (
        [macs_band(800e6, 0.1), Limit("params", 2.5e6, 0, "--max-params 2.5M")],
        ["--max-params 2.5M", "together with --target-flops 800.0M", "each limit alone", "smallest value found"],
    ),
    (
        [
            macs_band(400e6, 0.1),
            Limit("params", 5e6, 0, "--max-params 5M"),
            Limit("memory_bytes", 14e6, 0, "--max-memory 14MB"),
        ],
        ["--max-memory 14MB", "together with", "--target-flops 400.0M", "--max-params 5M"],
    ),
]


@pytest.mark.parametrize(("limits", "words"), BLAME)
def test_the_limit_that_empties_a_space_is_named(limits: list[Limit], words: list[str]) -> None:
    space = load_space("efficientnet")
    with pytest.raises(InputError) as caught:
        limited_domain(space, KnownCosts(space), Limits(tuple(limits)))
    for word in words:
        assert word in str(caught.value)


def test_the_least_that_is_named_is_reached() -> None:
    """Raising the limit to the figure in the message makes the budget meetable."""
    space = load_space("efficientnet")
    band, costs = macs_band(800e6, 0.1), KnownCosts(space)
    with pytest.raises(InputError) as caught:
        limited_domain(space, costs, Limits((band, Limit("params", 2.5e6, 0, "--max-params"))))
    least = int(str(caught.value).split("smallest value found is ")[1].split(" ")[0].replace(",", ""))
    found = limited_domain(space, costs, Limits((band, Limit("params", least, 0, "--max-params"))))
    drawn = found.sample(np.random.default_rng(0))
    assert drawn is not None and costs(drawn)["params"] <= least


class Own:
    """A space without stage tables and with costs of its own names."""

    name, gene_sizes = "own", (6,) * 8

    def costs(self, genes: np.ndarray) -> dict[str, Any]:
        return {"macs": 100 + (genes * 3 ** np.arange(8)).sum(1), "joules": 1.0 + genes.sum(1)}


def test_limits_of_other_spaces_and_of_their_own_metrics() -> None:
    space, generator = Own(), np.random.default_rng(0)
    limits = Limits((Limit("macs", 6000, 5000, "--target-flops"), Limit("joules", 15, 0, "objective.limits.joules")))
    found = limited_domain(space, KnownCosts(space), limits)
    for _ in range(20):
        drawn = found.sample(generator)
        assert drawn is not None and found.admits(drawn)
        assert sum(drawn.genes) <= 14
    with pytest.raises(
        InputError, match="objective.limits.joules: space 'own' probably holds no network with at most 0.5 joules"
    ):
        limited_domain(space, KnownCosts(space), Limits((Limit("joules", 0.5, 0, "objective.limits.joules"),)))


def test_tiny_spaces_are_listed_and_told_apart() -> None:
    space = StageTableSpace(TINY_FORM)
    costs = KnownCosts(space)
    few = min(costs(item)["params"] for item in spaces.enumerate_space(space))
    limits = Limits((Limit("params", few, 0, "--max-params"),))
    members = list(limited_domain(space, costs, limits).members() or ())
    assert members and all(costs(item)["params"] == few for item in members)


@pytest.mark.parametrize("tilt", [0.0, 5.0])
def test_options_that_underflow_leave_the_others_in_place(tilt: float) -> None:
    """Wide options come first, so that their vanishing weights stand before all others."""
    form = FORM | {
        "stages": [
            {"op": "mbconv6", "channels": [512, 16, 8], "activation": ["relu", "swish"], "kernel": [3, 5]},
            {
                "op": "mbconv6",
                "channels": [640, 24, 16],
                "activation": ["relu", "swish"],
                "stride": 2,
                "layers": [1, 2],
            },
        ]
    }
    space = StageTableSpace(form)
    table = CostTable(space)
    genes = np.array([architecture.genes for architecture in spaces.enumerate_space(space)])
    costs = table.costs(genes)
    limits = Limits((Limit("macs", int(costs["macs"].max())), Limit("params", int(np.quantile(costs["params"], 0.3)))))
    kept = genes[costs["params"] <= limits.of("params")[1]]
    sampler = TableSampler(table, limits)
    pathways = Pathways(table, sampler.bounds, 2**13, tilt * 60)
    drawn = sampler.draw_inside(pathways, np.random.default_rng(0), 400_000) if not tilt else None
    raw = pathways.draw(np.random.default_rng(0), 20_000)
    for column, (gene, name) in enumerate(zip(raw.T, space.gene_names, strict=True)):
        if name.endswith("activation"):
            assert abs(gene.mean() - 0.5) < 0.05, (name, column)
    if drawn is not None:
        assert set(map(tuple, drawn.tolist())) == set(map(tuple, kept.tolist()))


def test_a_ceiling_of_macs_without_a_target_is_blamed_by_its_own_name() -> None:
    space = load_space("efficientnet")
    limits = Limits((Limit("macs", 1e6, 0, "objective.limits.macs"),))
    with pytest.raises(InputError, match=r"objective.limits.macs: space .* smallest value it reaches is 51,594,768"):
        limited_domain(space, KnownCosts(space), limits)
