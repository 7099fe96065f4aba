"""Compound scaling: coefficients, families, scaling to a budget, the grid; finding a network by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nas.core.public import public_names

if TYPE_CHECKING:
    from nas.scale.compound import Rule, Scaling, official_scalings, phi_scaling
    from nas.scale.family import Member, make_family
    from nas.scale.find_network import find_network
    from nas.scale.to_budget import macs_ceiling, memory_ceiling, scale_to_budget

__all__ = [
    "Member",
    "Rule",
    "Scaling",
    "find_network",
    "macs_ceiling",
    "make_family",
    "memory_ceiling",
    "official_scalings",
    "phi_scaling",
    "scale_to_budget",
]

__getattr__, __dir__ = public_names(
    __name__,
    {
        "nas.scale.compound": ["Rule", "Scaling", "official_scalings", "phi_scaling"],
        "nas.scale.family": ["Member", "make_family"],
        "nas.scale.find_network": ["find_network"],
        "nas.scale.to_budget": ["macs_ceiling", "memory_ceiling", "scale_to_budget"],
    },
)
