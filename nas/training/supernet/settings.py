"""What a supernet covers, and the networks of each of its training steps."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from nas.core.flag import Flag
from nas.core.section import Section
from nas.core.units import parse_count
from nas.search.config_sections import parse_limits


def _targets(value: Any) -> Any:
    """Parse one target or several, separated by commas or in a list, as rising MACs."""
    if value is None or value == ():
        return ()
    several = value.split(",") if isinstance(value, str) else value if isinstance(value, (list, tuple)) else [value]
    return tuple(sorted(parse_count(one, "MACs") for one in several))


class SupernetSettings(Section):
    """The networks of a supernet."""

    target_flops: Annotated[
        tuple[float, ...],
        BeforeValidator(_targets),
        Flag("--target-flops", help="MACs of the networks it is for: 8M, or 4M,8M,16M for that range."),
    ] = ()
    """Targets in MACs; the supernet covers networks from ``(1 - tolerance)`` times the lowest to the highest."""
    tolerance: Annotated[float, Flag("--tolerance", help="As in a search: the band below the lowest target.")] = Field(
        default=0.1, ge=0, lt=1
    )
    """Width of the band below the lowest target, as a share of it."""
    limits: Annotated[
        dict[str, float],
        BeforeValidator(parse_limits),
        Flag("--max-params", key="params", help="Maximum number of parameters: 5M."),
        Flag(
            "--max-memory",
            key="memory_bytes",
            help="Maximum memory of float32 weights and activations (one image): 20MB.",
        ),
    ] = Field(default_factory=dict)
    """Upper limits on costs, as in a search: ``{params: 5M, memory_bytes: 20MB}``."""
    random_networks: Annotated[
        int, Flag("--random-networks", help="Random networks of each step, besides the largest and the smallest.")
    ] = Field(default=2, ge=0)
    """Random networks of each step, besides the largest and the smallest."""
