"""Stock networks scaled to a budget."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from nas.core.errors import InputError
from nas.evaluate.cost.exact import network_cost
from nas.evaluate.objective.limits import Limit, Limits, macs_band
from nas.scale.stock import STOCK, fit_to_limits, stock_networks, stock_resolution
from nas.search_spaces.catalogue import reference_network


@pytest.mark.parametrize("macs", [5e6, 20e6, 50e6])
@pytest.mark.parametrize("resolution", [32, 48, 96])
def test_stock_networks_use_the_budget_and_no_more(macs: float, resolution: int) -> None:
    found, refused = stock_networks(STOCK, resolution, 10, Limits((macs_band(macs, 0.1),)))
    assert [one.name for one in found] == [name for name in STOCK if name not in refused]
    assert not refused
    for one in found:
        cost = network_cost(one.network)
        assert 0.95 * macs <= cost.macs <= macs and one.costs["macs"] == cost.macs
        assert one.network.classes == 10
        assert abs(one.network.resolution / stock_resolution(resolution) - 1) <= 0.21


def test_a_network_that_fits_stays_as_it_is_published() -> None:
    b0 = reference_network("efficientnet_b0")
    one = fit_to_limits(b0, 224, Limits((Limit("macs", network_cost(b0).macs),)))
    assert one.network.signature() == b0.signature()


@settings(max_examples=25, deadline=None)
@given(some.floats(1e5, 1e8), some.floats(1e4, 1e7), some.sampled_from(STOCK))
def test_no_limit_is_exceeded(macs: float, params: float, name: str) -> None:
    limits = Limits((Limit("macs", macs), Limit("params", params)))
    try:
        one = fit_to_limits(reference_network(name), 64, limits)
    except InputError as error:
        assert "its smallest scaling has" in str(error)
        return
    assert limits.admits(one.costs)


def test_what_fits_no_budget_is_refused_with_its_numbers() -> None:
    found, refused = stock_networks(STOCK, 224, 10, Limits((macs_band(5e6, 0.1),)))
    assert [one.name for one in found] == ["mobilenet_v3_small"]
    assert set(refused) == set(STOCK) - {"mobilenet_v3_small"}
    assert refused["resnet18"] == "its smallest scaling has 19.7M MACs"


def test_unknown_costs_are_refused() -> None:
    with pytest.raises(InputError, match="its latency_ms is not known"):
        fit_to_limits(reference_network("resnet18"), 64, Limits((Limit("latency_ms", 3.0),)))


def test_words_name_the_scaling() -> None:
    found, _ = stock_networks(("mobilenet_v3_small",), 32, 10, Limits((macs_band(5e6, 0.1),)))
    assert found[0].words.startswith("mobilenet_v3_small, width 0.9") and found[0].words.endswith(" px")
