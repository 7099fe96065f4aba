"""The largest member of a family that keeps to a budget, found on exact costs and not on the nominal 2^phi.

EfficientNet (arXiv 1905.11946, section 3.1, equation 2) asks for the most accurate network with
``Memory <= target_memory`` and ``FLOPS <= target_flops``. Along the compound rule more is better, so that is the
largest member inside every ceiling: first phi, then the resolution, then the width, whose steps are finer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from nas.core.errors import InputError
from nas.evaluate.cost.exact import network_cost
from nas.scale.compound import LARGEST_FACTOR, LARGEST_PHI, Rule, Scaling, phi_scaling, scale
from nas.search_spaces.network import Network

FULL_ENOUGH = (0.99, 0.97)  # of the budget: the member closest to the rule that uses as much is taken
NEARLY = 0.9  # of the budget: less, at the largest phi, is told
SLACK = 0.15  # how far resolution and width may leave the rule to use the budget
PHI_STEP, WIDTH_STEP, MEASURED_PHI_STEP = 1e-4, 1e-3, 0.02
REMEASURED = 50  # times that a measured member may be made smaller, because a second look at the clock said more


@dataclass(frozen=True, slots=True)
class Ceiling:
    """A budget: what ``cost`` says of a network may not exceed ``limit``.

    Attributes:
        name: of the cost, as in ``macs``.
        limit: in the cost's own unit.
        text: the limit as people write it; names the member.
        cost: of a network.
        exact: whether asking again gives the same, as arithmetic does and a clock does not.
    """

    name: str
    limit: float
    text: str
    cost: Callable[[Network], float]
    exact: bool = True
    asked: dict[Any, float] = field(default_factory=dict, compare=False)

    def of(self, network: Network) -> float:
        """Ask what a network costs."""
        self.asked[network.signature()] = value = self.cost(network)
        return value

    def latest(self, network: Network) -> float:
        """Return what a network cost when that was last asked, so that a clock is not asked until it says otherwise."""
        known = self.asked.get(network.signature())
        return self.of(network) if known is None else known


def macs_ceiling(limit: float, text: str) -> Ceiling:
    """Return a ceiling on multiply-adds."""
    return Ceiling("macs", limit, text, lambda network: network_cost(network).macs)


def memory_ceiling(limit: float, text: str) -> Ceiling:
    """Return a ceiling on float32 weights and peak activations for one image, in bytes."""
    return Ceiling("memory_bytes", limit, text, lambda network: network_cost(network).memory_bytes)


def scale_to_budget(network: Network, ceilings: Sequence[Ceiling], rule: Rule) -> Scaling:
    """Return how the largest member within every ceiling differs from its baseline.

    Args:
        network: the baseline.
        ceilings: at least one.
        rule: alpha, beta, gamma, and whether stem and head stay.

    Raises:
        InputError: if not even the smallest member keeps to them, with what that one costs.
    """

    def member(phi: float) -> Scaling:
        return phi_scaling(min(phi, largest), network.name, rule)

    def used(scaling: Scaling) -> float:
        try:
            made = scale(network, scaling)
        except InputError:  # larger than any table may be
            return math.inf
        return max(ceiling.of(made) / ceiling.limit for ceiling in ceilings)

    bases = max(rule.alpha, rule.beta, rule.gamma, 1 + 1e-9)
    largest = min(LARGEST_PHI, math.log(LARGEST_FACTOR) / math.log(bases) - 1e-6)
    exact = all(ceiling.exact for ceiling in ceilings)
    step = PHI_STEP if exact else MEASURED_PHI_STEP
    lowest = _smallest_phi(network, member)
    bracket = _bracket(lambda phi: used(member(phi)) <= 1, lowest)
    if bracket is None:
        raise InputError(_too_small(network, ceilings, member(lowest)))
    phi = min(largest, _largest(lambda value: used(member(value)) <= 1, *bracket, step))
    found = member(phi)
    if exact:
        found = _adjusted(network, found, used)
        if phi >= largest - 1e-3 and used(found) < NEARLY:
            raise InputError(
                f"scale: the largest member of '{network.name}' by this rule, at phi {largest:.1f}, uses only "
                f"{used(found):.3%} of that; ask for less, or give other --alpha, --beta, --gamma"
            )
    else:
        for _ in range(REMEASURED):
            if used(found) <= 1:
                break
            phi = max(lowest, phi - step)
            found = member(phi)
        else:
            raise InputError(
                f"scale: '{network.name}' came out above the budget {REMEASURED} times, each time smaller: the machine "
                "is too busy to measure on; try again when it is quiet"
            )
    return replace(found, name=f"{network.name}_{'_'.join(ceiling.text for ceiling in ceilings)}", phi=phi)


def _bracket(fits: Callable[[float], bool], lowest: float) -> tuple[float, float] | None:
    """Return a phi that fits and a larger one, a step on; ``None`` if none fits.

    From the baseline on in steps of 1: a far larger network could not even be measured.
    """
    low = 0.0
    if fits(low):
        while low < LARGEST_PHI and fits(low + 1):
            low += 1
        return low, min(LARGEST_PHI, low + 1)
    while low > lowest:
        high, low = low, max(lowest, low - 1)
        if fits(low):
            return low, high
    return None


def _too_small(network: Network, ceilings: Sequence[Ceiling], scaling: Scaling) -> str:
    smallest = scale(network, scaling)
    costs = ", ".join(f"{ceiling.name} {ceiling.cost(smallest):,.4g}" for ceiling in ceilings)
    asked = ", ".join(f"{ceiling.name} {ceiling.limit:,.4g}" for ceiling in ceilings)
    return (
        f"scale: no member of '{network.name}' is as small as {asked}; the smallest that its strides allow, at phi "
        f"{scaling.phi or 0:.1f} and {smallest.resolution} px, has {costs}. Ask for more, or scale a smaller network"
    )


def _smallest_phi(network: Network, member: Callable[[float], Scaling]) -> float:
    """Return the smallest phi whose table is possible: strides need maps to halve."""

    def possible(phi: float) -> bool:
        try:
            scale(network, member(phi))
        except InputError:
            return False
        return True

    return -_largest(lambda negative: possible(-negative), 0.0, LARGEST_PHI, PHI_STEP)


def _adjusted(network: Network, found: Scaling, used: Callable[[Scaling], float]) -> Scaling:
    """Use what phi leaves of the budget: resolutions about the rule's, each with the largest width that it allows."""
    nominal = found.resolution_of(network)
    grows = used(Scaling(found.name)) <= 1  # then no dimension may shrink, and else none grow
    candidates = [(used(found), 0.0, replace(found, resolution=nominal))]
    for resolution in range(math.ceil(nominal * (1 - SLACK)), math.floor(nominal * (1 + SLACK)) + 1):
        narrow, wide = found.width * (1 - SLACK), found.width * (1 + SLACK)
        narrow, wide = (max(1.0, narrow), wide) if grows else (narrow, min(1.0, wide))
        one = replace(found, resolution=resolution)
        shrinks = resolution < network.resolution
        if (shrinks == grows and resolution != network.resolution) or used(replace(one, width=narrow)) > 1:
            continue
        width = _largest(
            lambda value, one=one: used(replace(one, width=value)) <= 1,  # type: ignore[misc]
            narrow,
            wide,
            WIDTH_STEP * found.width,
        )
        one = replace(one, width=width)
        away = abs(math.log(resolution / nominal)) + abs(math.log(width / found.width))
        candidates.append((used(one), away, one))
    for enough in FULL_ENOUGH:
        if full := [candidate for candidate in candidates if candidate[0] >= enough]:
            return min(full, key=lambda candidate: candidate[1])[2]
    return max(candidates, key=lambda candidate: candidate[0])[2]


def _largest(holds: Callable[[float], bool], low: float, high: float, step: float) -> float:
    """Return the largest value of ``low..high`` for which a condition holds, up to ``step``; it holds at ``low``."""
    if holds(high):
        return high
    while high - low > step:
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low
