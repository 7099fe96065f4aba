"""The networks that a supernet covers: its space inside its limits, and the largest and the smallest of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nas.core.errors import InputError
from nas.core.records import Architecture
from nas.core.units import format_quantity
from nas.evaluate.cost.domain import LimitedDomain
from nas.evaluate.cost.known_costs import KnownCosts
from nas.evaluate.cost.make_domain import limited_domain
from nas.evaluate.objective.limits import Limit, Limits
from nas.evaluate.supernet.affordable import affordable_parts
from nas.evaluate.supernet.ends import largest_and_smallest
from nas.evaluate.supernet.largest import Shared, shared_tensors
from nas.search.genes import searched_resolutions
from nas.search_spaces.catalogue import load_space
from nas.search_spaces.domain import Domain
from nas.search_spaces.space import SearchSpace
from nas.training.supernet.settings import SupernetSettings


@dataclass(frozen=True)
class SupernetPlan:
    """The networks of a supernet.

    Attributes:
        space: the space.
        domain: the networks inside the limits.
        limits: the limits.
        costs: the costs of its networks.
        largest: the network with the most MACs.
        smallest: the network with the fewest MACs.
        reference: largest deployment resolution of the space, in pixels.
    """

    space: SearchSpace
    domain: Domain
    limits: Limits
    costs: KnownCosts
    largest: Architecture
    smallest: Architecture
    reference: int

    @classmethod
    def of(cls, reference: str, settings: SupernetSettings) -> SupernetPlan:
        """Return the plan of a configuration; the same settings give the same plan in any process.

        Args:
            reference: a shipped space, FILE.yaml or FILE.py:Class with stage tables.
            settings: the limits.

        Raises:
            InputError: if the space has no stage tables, or holds no network inside the limits.
        """
        space = load_space(reference)
        resolution = largest_resolution(space)
        limits = limits_of(settings)
        costs = KnownCosts(space)
        domain = (limited_domain if limits else LimitedDomain)(space, costs, limits)
        ends = largest_and_smallest(domain, np.random.default_rng(0))
        return cls(space, domain, limits, costs, *ends, resolution)

    def shared(self, classes: int) -> dict[str, Shared]:
        """Return the shared tensors of the networks inside the limits."""
        table = self.costs.table
        inside = None if table is None else affordable_parts(table, self.limits)
        return shared_tensors(self.space, classes, inside)

    def words(self) -> str:
        """Return the range of its networks, in words."""
        low, high = (self.costs(one) for one in (self.smallest, self.largest))
        return (
            f"{self.space.name}: networks of {format_quantity(low['macs'])} to {format_quantity(high['macs'])} MACs, "
            f"{format_quantity(low['params'])} and {format_quantity(high['params'])} params"
        )


def largest_resolution(space: SearchSpace) -> int:
    """Return the largest deployment resolution of a space's networks, in pixels.

    Raises:
        InputError: if its genotypes are not stage tables.
    """
    resolutions = searched_resolutions(space)
    if not resolutions:
        raise InputError(
            f"supernet: space '{space.name}' has no stage tables, whose weights could be shared; write decode(), or "
            "the space in YAML"
        )
    return resolutions[-1]


def limits_of(settings: SupernetSettings) -> Limits:
    """Return the limits on the costs of a supernet's networks."""
    found = []
    if targets := settings.target_flops:
        shown = ",".join(format_quantity(target) for target in targets)
        low = np.ceil((1 - settings.tolerance) * targets[0] - 1e-6)
        found.append(Limit("macs", float(np.floor(targets[-1])), float(low), f"--target-flops {shown}"))
    flags = {"params": "--max-params", "memory_bytes": "--max-memory"}
    for metric, most in settings.limits.items():
        if metric == "macs" and targets:
            raise InputError("supernet.limits.macs: --target-flops limits the MACs already; give one of the two")
        flag = f"{flags[metric]} {format_quantity(most)}" if metric in flags else f"supernet.limits.{metric}"
        found.append(Limit(metric, most, flag=flag))
    return Limits(tuple(found))
