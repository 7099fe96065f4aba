"""Search for the largest member of a family inside a budget, by counted or measured costs instead of the nominal 2^phi.

EfficientNet (arXiv 1905.11946, section 3.1, equation 2) asks for the most accurate network with
``Memory <= target_memory`` and ``FLOPS <= target_flops``. With the compound rule, a larger network is more accurate, so
this is the largest member inside every ceiling. The search adjusts phi first. If all costs are exact, it then
adjusts the resolution, and last the width, whose steps are finer.
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

# Shares of the budget. Of the members that use at least this much, the one closest to the rule is taken.
_FULL_ENOUGH = (0.99, 0.97)
_NEARLY = 0.9  # share of the budget; it is an error if the largest phi uses less
_SLACK = 0.15  # largest relative deviation of resolution and width from the rule, when they are adjusted to the budget
PHI_STEP, WIDTH_STEP, MEASURED_PHI_STEP = 1e-4, 1e-3, 0.02
_MUCH, _LOOK_STEP = 0.9, 0.01  # a share of a budget below 0.9 is explained
# Maximum number of times that a measured member is made smaller because a new measurement exceeds the budget.
_REMEASURED = 50


@dataclass(frozen=True, slots=True)
class Ceiling:
    """A budget: the ``cost`` of a network may not exceed ``limit``.

    Attributes:
        name: name of the cost, such as ``macs``.
        limit: the largest allowed cost, in the cost's own unit.
        text: the limit as the user wrote it; part of the member's name.
        cost: function that returns the cost of a network.
        exact: whether ``cost`` always gives the same value: true if it is computed, false if it is measured.
    """

    name: str
    limit: float
    text: str
    cost: Callable[[Network], float]
    exact: bool = True
    asked: dict[Any, float] = field(default_factory=dict, compare=False)

    def of(self, network: Network) -> float:
        """Compute or measure the cost of a network, and keep it for ``latest``."""
        self.asked[network.signature()] = value = self.cost(network)
        return value

    def latest(self, network: Network) -> float:
        """Return the last cost that ``of`` returned for a network, or call ``of`` if there is none.

        A repeated measurement could give another value.
        """
        known = self.asked.get(network.signature())
        return self.of(network) if known is None else known


def macs_ceiling(limit: float, text: str) -> Ceiling:
    """Return a ceiling on multiply-adds."""
    return Ceiling("macs", limit, text, lambda network: network_cost(network).macs)


def memory_ceiling(limit: float, text: str) -> Ceiling:
    """Return a ceiling on float32 weights and peak activations for one image, in bytes."""
    return Ceiling("memory_bytes", limit, text, lambda network: network_cost(network).memory_bytes)


def scale_to_budget(network: Network, ceilings: Sequence[Ceiling], rule: Rule) -> Scaling:
    """Return the scaling of the largest member within every ceiling.

    Args:
        network: the baseline.
        ceilings: one or more budgets.
        rule: alpha, beta, gamma, and whether stem and head stay unscaled.

    Raises:
        InputError: if even the smallest member exceeds a ceiling; the message gives its costs.
    """

    def member(phi: float) -> Scaling:
        return phi_scaling(min(phi, largest), network.name, rule)

    def used(scaling: Scaling) -> float:
        try:
            made = scale(network, scaling)
        except InputError:  # larger than the limits of a stage table
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
        if phi >= largest - 1e-3 and used(found) < _NEARLY:
            raise InputError(
                f"scale: the largest member of '{network.name}' by this rule, at phi {largest:.1f}, uses only "
                f"{used(found):.3%} of the budget; use a smaller budget, or other --alpha, --beta, --gamma"
            )
    else:
        for _ in range(_REMEASURED):
            if used(found) <= 1:
                break
            phi = max(lowest, phi - step)
            found = member(phi)
        else:
            raise InputError(
                f"scale: '{network.name}' was measured above the budget {_REMEASURED} times, although it was made "
                "smaller each time: the machine is too busy for measurements; try again when it is idle"
            )
    return replace(found, name=f"{network.name}_{'_'.join(ceiling.text for ceiling in ceilings)}", phi=phi)


def why_below(network: Network, scaling: Scaling, ceilings: Sequence[Ceiling], rule: Rule) -> str:
    """Return why a member of ``scale_to_budget`` uses much less than its budget; empty if it uses 90% or more.

    Args:
        network: the baseline.
        scaling: the member's scaling, with its phi.
        ceilings: its budgets.
        rule: the rule of the scaling.
    """
    made = scale(network, scaling)
    share = max(ceiling.latest(made) / ceiling.limit for ceiling in ceilings)
    if share >= _MUCH:
        return ""
    told = f"{scaling.name} uses only {share:.0%} of its budget"
    if not all(ceiling.exact for ceiling in ceilings):
        return f"{told}: its speed was measured, and measurements vary"
    phi = scaling.phi or 0.0
    while (phi := phi + _LOOK_STEP) <= LARGEST_PHI:
        try:
            larger = scale(network, phi_scaling(phi, network.name, rule))
        except InputError:
            break
        if over := [one for one in ceilings if one.cost(larger) > one.limit]:
            costs = ", ".join(f"{one.name} {one.cost(larger):,.4g}" for one in over)
            return (
                f"{told}: channels are rounded to multiples of 8, layers and pixels to whole numbers, and the next "
                f"larger member by the rule exceeds it ({costs})"
            )
    return f"{told}: the rule allows no larger member"


def _bracket(fits: Callable[[float], bool], lowest: float) -> tuple[float, float] | None:
    """Return a phi that fits and the next larger one, at most 1 above it; ``None`` if no phi fits.

    The search starts at the baseline and moves in steps of 1, because a far larger network could not even be measured.
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
        f"scale: no member of '{network.name}' is inside {asked}; the smallest that its strides allow, at phi "
        f"{scaling.phi or 0:.1f} and {smallest.resolution} px, has {costs}. Raise the budget or scale a smaller network"
    )


def _smallest_phi(network: Network, member: Callable[[float], Scaling]) -> float:
    """Return the smallest phi whose table is possible: each stride needs a map that it can halve."""

    def possible(phi: float) -> bool:
        try:
            scale(network, member(phi))
        except InputError:
            return False
        return True

    return -_largest(lambda negative: possible(-negative), 0.0, LARGEST_PHI, PHI_STEP)


def _adjusted(network: Network, found: Scaling, used: Callable[[Scaling], float]) -> Scaling:
    """Return a member that uses more of the budget: try resolutions near the rule's, each with its largest width."""
    nominal = found.resolution_of(network)
    grows = used(Scaling(found.name)) <= 1  # if true, no dimension may shrink; if false, none may grow
    candidates = [(used(found), 0.0, replace(found, resolution=nominal))]
    for resolution in range(math.ceil(nominal * (1 - _SLACK)), math.floor(nominal * (1 + _SLACK)) + 1):
        narrow, wide = found.width * (1 - _SLACK), found.width * (1 + _SLACK)
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
    for enough in _FULL_ENOUGH:
        if full := [candidate for candidate in candidates if candidate[0] >= enough]:
            return min(full, key=lambda candidate: candidate[1])[2]
    return max(candidates, key=lambda candidate: candidate[0])[2]


def _largest(holds: Callable[[float], bool], low: float, high: float, step: float) -> float:
    """Return the largest value of ``low..high`` for which a condition holds, within ``step``; it holds at ``low``."""
    if holds(high):
        return high
    while high - low > step:
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low
