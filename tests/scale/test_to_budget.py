from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.core.errors import InputError
from nas.evaluate.cost.exact import network_cost
from nas.scale.compound import Rule, Scaling, scale
from nas.scale.find_network import find_network
from nas.scale.to_budget import Ceiling, macs_ceiling, memory_ceiling, scale_to_budget
from nas.search_spaces.network import Network

B0 = find_network("efficientnet_b0")


@pytest.mark.parametrize("millions", [50, 100, 200, 500, 1000, 1800, 10_000])
@pytest.mark.parametrize("name", ["efficientnet_b0", "mobilenet_v1", "mobilenet_v2", "resnet50", "mobilenet_v3_large"])
def test_a_member_uses_its_budget_and_no_more(name: str, millions: int) -> None:
    network, budget = find_network(name), millions * 1e6
    found = scale_to_budget(network, [macs_ceiling(budget, f"{millions}M")], Rule())
    assert 0.97 * budget <= network_cost(scale(network, found)).macs <= budget
    assert found.name == f"{name}_{millions}M"


@settings(max_examples=20, deadline=None)
@given(st.floats(60e6, 30e9), st.floats(1, 1.4), st.floats(1, 1.3), st.floats(1.1, 1.4))
def test_no_budget_is_exceeded_by_any_rule(budget: float, alpha: float, beta: float, gamma: float) -> None:
    found = scale_to_budget(B0, [macs_ceiling(budget, "x")], Rule(alpha, beta, gamma))
    assert 0.9 * budget <= network_cost(scale(B0, found)).macs <= budget


def test_all_ceilings_hold_and_one_is_used() -> None:
    found = scale_to_budget(B0, [macs_ceiling(1.8e9, "1.8G"), memory_ceiling(60e6, "60MB")], Rule())
    cost = network_cost(scale(B0, found))
    assert cost.macs <= 1.8e9 and 0.97 * 60e6 <= cost.memory_bytes <= 60e6
    assert found.name == "efficientnet_b0_1.8G_60MB"


def test_the_rule_is_left_no_further_than_the_budget_asks() -> None:
    found = scale_to_budget(B0, [macs_ceiling(1.8e9, "1.8G")], Rule())
    assert found.phi is not None
    assert found.width == pytest.approx(1.1**found.phi, rel=0.02) and found.depth == 1.2**found.phi
    assert found.resolution == pytest.approx(224 * 1.15**found.phi, rel=0.02)


def test_stem_and_head_stay_if_asked() -> None:
    found = scale_to_budget(B0, [macs_ceiling(1e9, "1G")], Rule(keep_stem_and_head=True))
    assert scale(B0, found).head.channels == 1280


def test_what_no_member_can_meet_is_told_with_the_smallest() -> None:
    with pytest.raises(InputError, match=r"smallest.*17 px"):
        scale_to_budget(B0, [macs_ceiling(1e5, "100K")], Rule())


def test_a_clock_is_asked_little_and_never_about_giants() -> None:
    asked: list[int] = []

    def clock(network: Network) -> float:
        """A network of twice B0's MACs takes 20 ms, the second look a little longer."""
        asked.append(network_cost(network).macs)
        return asked[-1] / 771e6 * 20 * (1 + 0.001 * len(asked))

    found = scale_to_budget(B0, [Ceiling("latency_ms", 20, "20ms", clock, exact=False)], Rule())
    assert max(asked) < 4e9 and len(asked) < 30
    assert 0.85 * 771e6 <= network_cost(scale(B0, found)).macs <= 771e6
    assert scale(B0, Scaling("x", found.width, found.depth, None, found.resolution_factor)).resolution == round(
        224 * 1.15 ** (found.phi or 0)
    )
