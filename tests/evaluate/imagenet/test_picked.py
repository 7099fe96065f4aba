"""What is said of a network that a search has picked: its judgement and its neighbours."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nas.core.records import Architecture
from nas.evaluate.cost.exact import network_cost
from nas.evaluate.imagenet.judgement import gain_interval, judge
from nas.evaluate.imagenet.neighbours import as_csv, neighbours
from nas.evaluate.imagenet.prediction import REPORT, SEARCH, shipped_surrogate
from nas.evaluate.imagenet.skeleton import b0_genes, gene_sizes, skeleton

B0 = b0_genes()


def test_a_network_is_judged_by_the_fit_that_did_not_search() -> None:
    judged = judge(B0)
    search, report = (float(shipped_surrogate().accuracy(np.array([B0]), fit)[0][0]) / 100 for fit in (SEARCH, REPORT))
    assert judged.accuracy == pytest.approx(report) and judged.picked_by == pytest.approx(search)
    assert judged.optimism == pytest.approx(search - report)
    assert 0.70 < judged.accuracy_longer < 0.75 and not judged.extrapolated
    assert judge(tuple(0 for _ in B0)).extrapolated


def test_the_interval_of_a_gain_is_around_it_and_wider_than_either() -> None:
    b0, other = judge(B0), judge((0, *B0[1:-1], 1))
    low, high = gain_interval(b0, other)
    assert (low + high) / 2 == pytest.approx(b0.accuracy - other.accuracy)
    assert high - low == pytest.approx(2 * 1.96 * math.hypot(b0.accuracy_std, other.accuracy_std))


def test_neighbours_are_all_single_changes_with_their_exact_costs() -> None:
    found = neighbours(B0)
    assert len(found) == sum(size - 1 for size in gene_sizes()) == len({item.genes for item in found})
    base = network_cost(skeleton().decode(Architecture("efficientnet", B0)))
    for item in found:
        assert sum(one != other for one, other in zip(item.genes, B0, strict=True)) == 1
        cost = network_cost(skeleton().decode(Architecture("efficientnet", item.genes)))
        assert (item.macs_change, item.params_change) == (cost.macs - base.macs, cost.params - base.params)
        assert (item.latency_change_ms["vck190"] > 0) == (item.macs_change > 0) or abs(item.macs_change) < 2e7
    changes = [item.accuracy_change for item in found]
    assert changes == sorted(changes, reverse=True)
    assert {"k5→k3 in stage 3", "l2→l3 in stage 2", "e6→e4 in stage 7", "−SE in stage 1"} <= {
        item.edit for item in found
    }


def test_neighbours_as_a_file() -> None:
    lines = as_csv(neighbours(B0)).splitlines()
    assert (
        lines[0].startswith("edit,accuracy_change,macs_change,params_change,zcu102_latency_change_ms")
        and len(lines) == 44
    )
