"""Statistics of a search space: number of networks, ranges of costs, and the share of the space near given targets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nas.core.errors import InputError
from nas.core.records import Architecture
from nas.core.units import format_quantity
from nas.evaluate.cost.known_costs import KnownCosts
from nas.evaluate.cost.table import CostTable
from nas.evaluate.cost.table_sampler import TableSampler
from nas.evaluate.objective.limits import Limit, Limits
from nas.search_spaces import space as spaces
from nas.search_spaces.count_networks import count_networks
from nas.search_spaces.space import SearchSpace
from nas.search_spaces.stage_table import StageTableSpace

_NEAR = 0.1
RANDOM = 1000
_WIDTHS = [round(0.05 * step, 2) for step in range(1, 81)]


@dataclass(frozen=True)
class Share:
    """The share of a space within 10% of a target.

    Attributes:
        target: target in MACs.
        share: share of the genotypes, from 0 to 1.
        hint: reason or advice if the share is 0; else empty.
    """

    target: float
    share: float
    hint: str = ""


@dataclass(frozen=True)
class Survey:
    """Statistics of a space.

    Attributes:
        architectures: number of genotypes.
        networks: number of distinct networks; ``None`` if they cannot be counted.
        ranges: smallest and largest value of each metric.
        counted: number of samples behind the ranges and shares; ``None`` if they cover the whole space.
        shares: share of the space near each target.
    """

    architectures: int
    networks: int | None
    ranges: dict[str, tuple[float, float]]
    counted: int | None
    shares: list[Share] = field(default_factory=list)


def survey(space: SearchSpace, samples: Sequence[Architecture], targets: Sequence[float]) -> Survey:
    """Return the statistics of a space: exact if it has a cost table, else from ``samples``.

    If counting is cheap, more genotypes are added to ``samples``.
    """
    costs = KnownCosts(space)
    if isinstance(space, StageTableSpace) and (table := costs.table) is not None:
        ranges = {"macs": table.range("macs"), "params": table.range("params")}
        ranges["peak_activation_bytes"] = table.range("peak")
        shares = [_exact_share(space, table, target) for target in targets]
        return Survey(spaces.size(space), _networks(space), dict(ranges), None, shares)
    columns: dict[str, Any] = {}
    counted = 0
    for architecture in dict.fromkeys(samples if costs.builds_modules else [*samples, *_more(space)]):
        try:
            metrics = costs(architecture)
        except InputError:  # does not decode to a network
            continue
        counted += 1
        for name, value in metrics.items():
            columns.setdefault(name, []).append(value)
    ranges_seen = {name: (min(values), max(values)) for name, values in columns.items()}
    macs = np.array(columns.get("macs", []), dtype=float)
    shares = [_sampled_share(macs, target) for target in targets]
    return Survey(spaces.size(space), None, ranges_seen, counted, shares)


def _more(space: SearchSpace) -> Iterator[Architecture]:
    """Return an iterator over all genotypes of a small space, or over ``RANDOM`` random genotypes of a larger space."""
    if spaces.size(space) <= RANDOM:
        return spaces.enumerate_space(space)
    generator = np.random.default_rng(0)
    return (spaces.sample(space, generator) for _ in range(RANDOM))


def _networks(space: StageTableSpace) -> int | None:
    """Return the number of distinct networks; ``None`` if stages have too many layers to count them."""
    try:
        return count_networks(space)
    except RecursionError:
        return None


def _exact_share(space: StageTableSpace, table: CostTable, target: float) -> Share:
    low, high = table.range("macs")
    sampler = TableSampler(table, Limits((Limit("macs", (1 + _NEAR) * target, (1 - _NEAR) * target),)))
    share = sampler.estimated_size / spaces.size(space)
    if share:
        return Share(target, share)
    if low <= target <= high:
        return Share(target, share, f"no network is near {format_quantity(target)}, only smaller and larger ones")
    below = target < low
    place = f"below this space's floor of {low:,} MACs" if below else f"above this space's ceiling of {high:,} MACs"
    width = _width_that_reaches(space, target, below)
    way = f"; width {width:g} reaches it (write 'width: {width:g}' at the root of its YAML)" if width else ""
    return Share(target, share, f"your {format_quantity(target)} target is {place}{way}")


def _width_that_reaches(space: StageTableSpace, target: float, below: bool) -> float | None:
    """Return the width factor nearest to 1 with which the target lies in the space's range."""
    if "width" in space.form:
        return None
    candidates = [width for width in _WIDTHS if (width < 1) == below and width != 1]
    for width in sorted(candidates, key=lambda width: abs(width - 1)):
        try:
            low, high = CostTable(StageTableSpace({**space.form, "width": width})).range("macs")
        except InputError:
            continue
        if low <= target <= high:
            return width
    return None


def _sampled_share(macs: np.ndarray, target: float) -> Share:
    if not len(macs):
        return Share(target, 0.0, "the MACs of this space are unknown, so they cannot be compared with a target")
    share = float(((macs >= (1 - _NEAR) * target) & (macs <= (1 + _NEAR) * target)).mean())
    if share:
        return Share(target, share)
    seen = f"the samples have {int(macs.min()):,} to {int(macs.max()):,} MACs"
    return Share(target, share, f"no sample is near {format_quantity(target)}: {seen}")
