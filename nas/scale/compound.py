"""Compound scaling: depth alpha**phi, width beta**phi, resolution gamma**phi (EfficientNet, arXiv 1905.11946, eq. 3).

Rounding follows EfficientNet's public reference code: channels are rounded to multiples of 8 and never below 90% of the
exact product; layer counts are rounded up. Stem and head are scaled too, unless they are kept unscaled together with
the layer counts of the first and last stage, as in EfficientNet-Lite. A negative phi gives a network
smaller than the baseline.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from nas.core.errors import InputError, nearest_name
from nas.search_spaces.network import Network
from nas.search_spaces.parts import Stage
from nas.search_spaces.rounding import round_channels

ALPHA, BETA, GAMMA = 1.2, 1.1, 1.15

LARGEST_FACTOR = 100
_MOST_DROPOUT, _DROPOUT_RISE = 0.5, 0.3  # of B7, and from B0 to B7
LARGEST_PHI = 20.0


@dataclass(frozen=True, slots=True)
class Scaling:
    """The scaling of a family member relative to its baseline.

    Attributes:
        name: name of the member.
        width: factor on every channel count.
        depth: factor on every stage's layers.
        resolution: deployment resolution in pixels; if ``None``, ``resolution_factor`` is used.
        resolution_factor: factor on the baseline's resolution, used if ``resolution`` is ``None``.
        dropout_rise: what is added to the classifier's dropout rate; a baseline without dropout stays without.
        keep_stem_and_head: whether the channels of stem and head, and the layers of the first and last stage, stay
            unscaled.
        phi: the compound coefficient, if the member has one.
    """

    name: str
    width: float = 1.0
    depth: float = 1.0
    resolution: int | None = None
    resolution_factor: float = 1.0
    dropout_rise: float = 0.0
    keep_stem_and_head: bool = False
    phi: float | None = None

    def __post_init__(self) -> None:
        for name in ("width", "depth", "resolution_factor"):
            value = getattr(self, name)
            if not 0 < value <= LARGEST_FACTOR:
                raise InputError(f"{name}: expected a factor above 0 and at most {LARGEST_FACTOR}, got {value:g}")
        if self.resolution is not None and self.resolution < 1:
            raise InputError(f"resolution: expected at least 1 pixel, got {self.resolution}")

    def resolution_of(self, network: Network) -> int:
        """Return the member's resolution in pixels."""
        return (
            max(1, round(network.resolution * self.resolution_factor)) if self.resolution is None else self.resolution
        )


@dataclass(frozen=True, slots=True)
class Rule:
    """The bases of compound scaling, and whether stem and head stay unscaled.

    Raises:
        InputError: if a base is below 1 or above 100.
    """

    alpha: float = ALPHA
    beta: float = BETA
    gamma: float = GAMMA
    keep_stem_and_head: bool = False

    def __post_init__(self) -> None:
        for name in ("alpha", "beta", "gamma"):
            if not 1 <= (value := getattr(self, name)) <= LARGEST_FACTOR:
                raise InputError(f"{name}: expected a number from 1 to {LARGEST_FACTOR}, got {value:g}")

    @property
    def growth(self) -> float:
        """Nominal growth of MACs per unit of phi: alpha * beta^2 * gamma^2, about 2."""
        return self.alpha * self.beta**2 * self.gamma**2


# Width, depth, resolution and dropout of the released models; hand-rounded, so not alpha**phi for any phi.
OFFICIAL: dict[str, tuple[float, float, int, float]] = {
    "b0": (1.0, 1.0, 224, 0.2),
    "b1": (1.0, 1.1, 240, 0.2),
    "b2": (1.1, 1.2, 260, 0.3),
    "b3": (1.2, 1.4, 300, 0.3),
    "b4": (1.4, 1.8, 380, 0.4),
    "b5": (1.6, 2.2, 456, 0.4),
    "b6": (1.8, 2.6, 528, 0.5),
    "b7": (2.0, 3.1, 600, 0.5),
    "b8": (2.2, 3.6, 672, 0.5),
}
_OFFICIAL_BASE_RESOLUTION = 224


def scale(network: Network, scaling: Scaling) -> Network:
    """Return the scaled network.

    Raises:
        InputError: if the result is an impossible table.

    Examples:
        >>> from nas.search_spaces.catalogue import reference_network
        >>> scaled = scale(reference_network("efficientnet_b0"), phi_scaling(1, "efficientnet_b0"))
        >>> scaled.name, scaled.resolution, [stage.layers for stage in scaled.stages]
        ('efficientnet_b0_phi1', 258, [2, 3, 3, 4, 4, 5, 2])
    """
    width, kept = scaling.width, scaling.keep_stem_and_head
    last = len(network.stages) - 1
    stages = tuple(
        _scaled_stage(stage, width, 1.0 if kept and index in (0, last) else scaling.depth)
        for index, stage in enumerate(network.stages)
    )
    ends = 1.0 if kept else width
    head = replace(
        network.head,
        channels=round_channels(network.head.channels, ends),
        hidden=round_channels(network.head.hidden, ends),
    )
    head = replace(head, dropout=scaled_dropout(head.dropout, scaling.dropout_rise))
    return replace(
        network,
        name=scaling.name,
        resolution=scaling.resolution_of(network),
        stem=replace(network.stem, channels=round_channels(network.stem.channels, ends)),
        stages=stages,
        head=head,
    )


def scaled_dropout(dropout: float, rise: float) -> float:
    """Return a classifier's dropout rate raised by ``rise``: 0 stays 0, and a rate is not raised above 0.5.

    Examples:
        >>> scaled_dropout(0.2, 0.3), scaled_dropout(0.2, -0.3), scaled_dropout(0.0, 0.3), scaled_dropout(0.8, 0.3)
        (0.5, 0.0, 0.0, 0.8)
    """
    if not dropout or not rise:
        return dropout
    return max(0.0, min(max(_MOST_DROPOUT, dropout), round(dropout + rise, 9)))


def round_layers(layers: int, depth: float) -> int:
    """Scale a layer count and round it up; a product that is whole except for floating-point error stays as it is."""
    return math.ceil(round(layers * depth, 9))


def official_scalings(names: str, base: str, resolution: int, keep_stem_and_head: bool = False) -> list[Scaling]:
    """Parse ``b1,b2,b7`` or ``b0..b7`` into the released models' coefficients.

    Args:
        names: names of the members.
        base: the baseline's name; members of ``efficientnet_b0`` are named as in the papers.
        resolution: resolution of the baseline; the released resolutions are applied relative to 224.
        keep_stem_and_head: whether stem and head stay unscaled.

    Raises:
        InputError: for a name that does not exist.
    """
    scalings = []
    for name in _expand(names):
        width, depth, official, dropout = OFFICIAL[name]
        own = round(resolution * official / _OFFICIAL_BASE_RESOLUTION)
        member = f"efficientnet_{name}" if base == "efficientnet_b0" else f"{base}_{name}"
        rise = dropout - OFFICIAL["b0"][3]
        scalings.append(Scaling(member, width, depth, own, 1.0, rise, keep_stem_and_head))
    return scalings


def phi_scaling(phi: float, base: str, rule: Rule | None = None) -> Scaling:
    """Return the scaling for a compound coefficient; dropout rises by 0.3 from phi = 0 to phi = 7, as from B0 to B7.

    Raises:
        InputError: if phi is out of range.
    """
    rule = rule or Rule()
    if not -LARGEST_PHI <= phi <= LARGEST_PHI:
        raise InputError(f"phi: expected numbers from {-LARGEST_PHI:g} to {LARGEST_PHI:g}, got {phi}")
    return Scaling(
        f"{base}_phi{phi:g}",
        width=rule.beta**phi,
        depth=rule.alpha**phi,
        resolution_factor=rule.gamma**phi,
        dropout_rise=_DROPOUT_RISE * phi / 7,
        keep_stem_and_head=rule.keep_stem_and_head,
        phi=phi,
    )


def _scaled_stage(stage: Stage, width: float, depth: float) -> Stage:
    return replace(
        stage, channels=round_channels(stage.channels, width), layers=max(1, round_layers(stage.layers, depth))
    )


def _expand(names: str) -> list[str]:
    members: list[str] = []
    known = list(OFFICIAL)
    for item in names.lower().replace(" ", "").split(","):
        first, dots, last = item.partition("..")
        for name in (first, last) if dots else (first,):
            if name not in OFFICIAL:
                raise InputError(f"official: no released model is named '{name}'{nearest_name(name, known)}")
        start, stop = known.index(first), known.index(last if dots else first)
        if stop < start:
            raise InputError(f"official: expected a rising range such as b0..b7, got '{item}'")
        members += known[start : stop + 1]
    return list(dict.fromkeys(members))
