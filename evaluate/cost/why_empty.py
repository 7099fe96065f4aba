"""Error messages for a budget that no network of a space meets: which limit to change, and to which value."""

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
    """Return the error for limits that no network of a stage-table space meets.

    The error names the first limit that no network meets even without the others; else the first limit that no network
    meets together with the limits before it.
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
    raise AssertionError("some networks meet the limits")


def out_of_reach(name: str, limits: Limits, seen: Collection[tuple[float, ...]], proved: bool) -> InputError:
    """Return the error for limits that none of the ``seen`` networks meets.

    Args:
        name: name of the space.
        limits: the budget.
        seen: costs of every counted network, one for each limit's metric.
        proved: whether ``seen`` covers all networks of the space.
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
    return InputError(f"{limits.items[-1].flag}: space '{name}': {none} that meets {together} together; relax one")


def _predicted_error(name: str, limit: Limit, low: float, high: float) -> InputError:
    words = METRIC_WORDS.get(limit.metric, limit.metric)
    return InputError(
        f"{limit.flag}: no network of space '{name}' was found with {limit} and within the other limits; the "
        f"networks found reach from {low:.4g} to {high:.4g} {words}. Change this limit, relax another limit, or use "
        "another --space"
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
    those = "Its networks" if exact else "The networks that were found"
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
    none, seen = ("holds no network", "it reaches") if proved else ("probably holds no network", "that was found")
    return InputError(
        f"{limit.flag}: space '{name}' {none} with {limit}; the smallest value {seen} is {least:,} "
        f"({format_quantity(least)}) {what}. Raise the limit to this value, or use another --space"
    )


def _together(table: CostTable, before: tuple[Limit, ...], last: Limit, proved: bool) -> InputError:
    least = _least(table, before, last)
    others = " and ".join(f"{limit.flag} ({limit})" for limit in before)
    none = "holds no network" if proved else "no network was found"
    what = METRIC_WORDS.get(last.metric, last.metric)
    return InputError(
        f"{last.flag}: space '{table.space.name}': {none} that meets this limit together with {others}, although "
        f"each limit alone can be met. Within {'the other limits' if len(before) > 1 else 'the other limit'}, the "
        f"smallest value found is {least:,} ({format_quantity(least)}) {what}: raise the limit to this value, or relax "
        "another limit"
    )


def _least(table: CostTable, others: tuple[Limit, ...], limit: Limit) -> int:
    """Return the smallest cost in the limit's metric among draws inside the other limits, in repeated rounds."""
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
