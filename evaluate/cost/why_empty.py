"""Why nothing of a space keeps to a budget, said so that people know which limit to change, and to what."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import replace

import numpy as np

from nas.core.errors import InputError
from nas.core.units import format_quantity
from nas.evaluate.cost.exact import FLOAT_BYTES
from nas.evaluate.cost.table import CostTable
from nas.evaluate.cost.table_sampler import TableSampler
from nas.evaluate.objective.limits import METRIC_WORDS, Limit, Limits

_DRAWS, _ROUNDS = 500, 12
PREDICTED = ("latency_ms", "throughput")


def explain_empty(table: CostTable, limits: Limits) -> InputError:
    """Return the error for limits that leave nothing of a stage-table space.

    The first limit that nothing keeps to alone is blamed; else the first that nothing keeps to together with those
    before it.
    """
    for limit in limits:
        sampler = TableSampler(table, Limits((limit,)))
        if sampler.empty:
            return _macs_alone(table, limit, sampler) if limit.low else _ceiling_alone(table, limit)
    items = limits.items
    for count in range(2, len(items) + 1):
        sampler = TableSampler(table, Limits(items[:count]))
        if sampler.empty:
            return _together(table, items[: count - 1], items[count - 1], sampler.proved)
    raise AssertionError("the limits leave something")


def out_of_reach(name: str, limits: Limits, seen: Collection[tuple[float, ...]], proved: bool) -> InputError:
    """Return the error for limits outside which every network lies that was ``seen``.

    Args:
        name: of the space.
        limits: the budget.
        seen: for every network that was counted, its cost in each limit's metric.
        proved: whether these are all networks there are.
    """
    for column, limit in enumerate(limits):
        values = [row[column] for row in seen]
        if not any(limit.low <= value <= limit.high for value in values):
            nearest = min(values, key=lambda value: abs(value - limit.high))
            if limit.metric == "macs" and limit.low:
                return _macs_error(name, limit, int(min(values)), int(max(values)), int(nearest), proved, exact=proved)
            if limit.metric in PREDICTED or math.isinf(limit.high):
                return _predicted_error(name, limit, min(values), max(values))
            return _ceiling_error(name, limit, int(min(values)), proved)
    none = "holds no network" if proved else "no network was found"
    together = " and ".join(f"{limit.flag} ({limit})" for limit in limits)
    return InputError(f"{limits.items[-1].flag}: space '{name}': {none} that keeps to {together} together; loosen one")


def _predicted_error(name: str, limit: Limit, low: float, high: float) -> InputError:
    words = METRIC_WORDS.get(limit.metric, limit.metric)
    return InputError(
        f"{limit.flag}: no network of space '{name}' was found with {limit} and within the other limits; those that "
        f"were reach from {low:.4g} to {high:.4g} {words}. Change the limit, loosen another, or use another --space"
    )


def _macs_alone(table: CostTable, limit: Limit, sampler: TableSampler) -> InputError:
    low, high = table.range("macs")
    target = int(limit.high)
    nearest = low if target <= low else high
    if low < target < high:
        nearest = TableSampler(table, Limits((replace(limit, low=0, high=high),))).nearest(target)
    return _macs_error(table.space.name, limit, low, high, nearest, sampler.proved)


def _macs_error(
    name: str, limit: Limit, low: int, high: int, nearest: int, proved: bool, exact: bool = True
) -> InputError:
    those = "Its networks" if exact else "Those that were found"
    none = f"space '{name}' holds no network" if proved else f"no network of space '{name}' was found"
    return InputError(
        f"target_flops: {none} with {format_quantity(limit.low)} to {format_quantity(limit.high)} MACs. {those} "
        f"have {low:,} ({format_quantity(low)}) to {high:,} ({format_quantity(high)}) MACs; the nearest to the "
        f"target{'' if proved else ' that was found'} has {nearest:,}. Choose a --target-flops in that range, "
        "widen --tolerance, or use another --space"
    )


def _ceiling_alone(table: CostTable, limit: Limit) -> InputError:
    if limit.metric == "macs":
        least = table.range("macs")[0]
    elif limit.metric in ("params", "weight_bytes"):
        least = table.range("params")[0] * (FLOAT_BYTES if limit.metric == "weight_bytes" else 1)
    elif limit.metric == "peak_activation_bytes":
        least = table.range("peak")[0]
    else:
        least = _least(table, (), limit)
    return _ceiling_error(table.space.name, limit, least, proved=True)


def _ceiling_error(name: str, limit: Limit, least: int, proved: bool) -> InputError:
    what = METRIC_WORDS.get(limit.metric, limit.metric)
    none, seen = ("holds no network", "it reaches") if proved else ("has shown no network", "that was found")
    return InputError(
        f"{limit.flag}: space '{name}' {none} with {limit}; the least {seen} is {least:,} "
        f"({format_quantity(least)}) {what}. Raise the limit to that, or use another --space"
    )


def _together(table: CostTable, before: tuple[Limit, ...], last: Limit, proved: bool) -> InputError:
    least = _least(table, before, last)
    others = " and ".join(f"{limit.flag} ({limit})" for limit in before)
    none = "holds no network" if proved else "no network was found"
    what = METRIC_WORDS.get(last.metric, last.metric)
    return InputError(
        f"{last.flag}: space '{table.space.name}': {none} that keeps to it together with {others}, though each alone "
        f"leaves some. Within {'those' if len(before) > 1 else 'that'} the least found is {least:,} "
        f"({format_quantity(least)}) {what}: raise the limit to it, or loosen another"
    )


def _least(table: CostTable, others: tuple[Limit, ...], limit: Limit) -> int:
    """Return the smallest cost in the limit's metric that draws inside the other limits come down to."""
    generator = np.random.default_rng(0)
    least: int | None = None
    for _ in range(_ROUNDS):
        own = () if least is None else (replace(limit, low=0, high=least - 1),)
        sampler = TableSampler(table, Limits((*others, *own)))
        genes = sampler.sample(generator, _DRAWS)
        if genes is None:
            genes = sampler.sample(generator, 1)
        if genes is None:
            break
        least = int(table.costs(genes)[limit.metric].min())
    assert least is not None
    return least
