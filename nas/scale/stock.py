"""Stock networks scaled to a budget: what a person would use without a search.

A stock network keeps its published pattern. Its width is scaled so that its costs use as much of the budget as they
can; the resolution, and the depth if the width alone would be extreme, are adjusted to use it exactly.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from nas.core.errors import InputError
from nas.core.units import format_quantity
from nas.evaluate.cost.exact import network_cost
from nas.evaluate.objective.limits import METRIC_WORDS, Limits
from nas.scale.compound import Scaling, scale
from nas.search_spaces.catalogue import reference_network
from nas.search_spaces.network import Network
from nas.search_spaces.yaml_format import network_to_yaml

STOCK = ("resnet18", "mobilenet_v3_small", "mobilenet_v2", "mobilenet_v3_large", "efficientnet_b0")
"""In this order they are trained, while the time lasts: those that learn fastest from few images come first."""
Costs = Callable[[Network], Mapping[str, float]]

_SMALL_IMAGES = 64  # side in pixels; smaller images are enlarged for networks that halve their maps five times
_WIDTHS = (0.02, 100.0)
_USUAL_WIDTHS = (0.25, 2.5)  # outside, the depth is scaled too
_DEPTHS = (1.0, 0.75, 0.5, 1.5, 2.0, 3.0)
_RESOLUTION_SLACK = 0.2  # largest relative deviation of the resolution
_FULL = 0.98  # share of the budget that is used up; below it, other resolutions and depths are tried
_HALVINGS = 14


@dataclass(frozen=True, slots=True)
class StockNetwork:
    """A stock network scaled to a budget.

    Attributes:
        name: name of the network before scaling.
        scaling: its scaling.
        network: the scaled network.
        costs: its costs by metric.
        is_default: whether it is the default architecture of a search space instead.
    """

    name: str
    scaling: Scaling
    network: Network
    costs: Mapping[str, float]
    is_default: bool = False

    @property
    def label(self) -> str:
        """The name and a digest of the scaled network, for journals."""
        return f"{self.name} {hashlib.sha256(network_to_yaml(self.network).encode()).hexdigest()[:8]}"

    @property
    def words(self) -> str:
        """The network and its scaling, such as ``mobilenet_v3_small, width 0.62, 48 px``."""
        depth = "" if self.scaling.depth == 1 else f", depth {self.scaling.depth:g}"
        return f"{self.name}, width {self.scaling.width:.3g}{depth}, {self.network.resolution} px"


def exact_costs(network: Network) -> Mapping[str, float]:
    """Return the exact costs of a network by metric."""
    return network_cost(network).metrics()


def stock_resolution(resolution: int) -> int:
    """Return the resolution at which stock networks are used where a space has networks of ``resolution`` pixels.

    Their strides shrink the image 32 times. Small images are therefore enlarged to twice their side, which a person who
    uses these networks on small images would do as well.

    Examples:
        >>> stock_resolution(32), stock_resolution(224)
        (64, 224)
    """
    return 2 * resolution if resolution <= _SMALL_IMAGES else resolution


def fit_to_limits(network: Network, resolution: int, limits: Limits, costs: Costs = exact_costs) -> StockNetwork:
    """Return a network scaled to use as much of a budget as possible, without exceeding it.

    Args:
        network: the network, with the classes that its cost is counted with.
        resolution: its deployment resolution; it changes by at most a fifth.
        limits: the budget; at least one upper limit of a cost, or a lower limit of the throughput.
        costs: function that returns the costs of a network.

    Raises:
        InputError: if no width fits the budget, or a limited cost is not known for the network.
    """

    def used(scaling: Scaling) -> float:
        try:
            made = scale(network, scaling)
        except InputError:  # larger than the limits of a stage table
            return math.inf
        return _used(costs(made), limits)

    closest, fullest = (math.inf, Scaling(network.name)), (0.0, Scaling(network.name))
    for scaling, away in sorted(_scalings(network, resolution), key=lambda one: one[1]):
        if away >= closest[0]:
            break
        if (width := _largest_width(used, scaling)) is None:
            continue
        full, (low, high) = replace(scaling, width=width), _USUAL_WIDTHS
        away += max(0.0, math.log(low / width), math.log(width / high))
        fullest = max(fullest, (used(full), full), key=lambda one: one[0])
        if used(full) >= _FULL:
            closest = min(closest, (away, full), key=lambda one: one[0])
    if not fullest[0]:
        smallest = Scaling(network.name, width=_WIDTHS[0], depth=min(_DEPTHS), resolution=resolution)
        raise InputError(_does_not_fit(costs(scale(network, smallest)), limits))
    best = fullest[1] if math.isinf(closest[0]) else closest[1]
    width = float(f"{best.width:.4g}")
    best = replace(best, width=width if used(replace(best, width=width)) <= 1 else best.width)
    made = replace(scale(network, best), name=network.name)
    return StockNetwork(network.name, best, made, costs(made))


def stock_networks(
    names: Sequence[str],
    resolution: int,
    classes: int,
    limits: Limits,
    costs: Costs = exact_costs,
    enlarges: bool = True,
) -> tuple[list[StockNetwork], dict[str, str]]:
    """Return stock networks scaled to a budget, and by name the reasons why others do not fit it.

    Args:
        names: reference names.
        resolution: the deployment resolution of the space's networks.
        classes: number of classes that costs are counted with.
        limits: the budget.
        costs: function that returns the costs of a network.
        enlarges: whether small images are enlarged for them.
    """
    found, refused = [], {}
    side = stock_resolution(resolution) if enlarges else resolution
    for name in names:
        try:
            network = reference_network(name).at(classes=classes)
            found.append(fit_to_limits(network, side, limits, costs))
        except InputError as error:
            refused[name] = str(error)
    return found, refused


def _scalings(network: Network, resolution: int) -> Iterator[tuple[Scaling, float]]:
    """Yield the resolutions and depths to try, each with its distance from the plain network."""
    low, high = (round(resolution * factor) for factor in (1 - _RESOLUTION_SLACK, 1 + _RESOLUTION_SLACK))
    for side in range(max(1, low), high + 1):
        for depth in _DEPTHS:
            away = abs(math.log(side / resolution)) + abs(math.log(depth))
            yield Scaling(network.name, depth=depth, resolution=side), away


def _used(costs: Mapping[str, float], limits: Limits) -> float:
    """Return the largest share of any limit that is used; above 1 if one is exceeded.

    Raises:
        InputError: if a limited cost is not known.
    """
    shares = []
    for limit in limits:
        if limit.metric not in costs:
            raise InputError(f"its {limit.metric} is not known")
        value = costs[limit.metric]
        shares.append(limit.low / value if math.isinf(limit.high) else value / limit.high)
    return max(shares)


def _largest_width(used: Callable[[Scaling], float], scaling: Scaling) -> float | None:
    """Return the largest width factor with which a scaling fits the budget; ``None`` if none does."""
    low, high = (math.log(width) for width in _WIDTHS)
    if used(replace(scaling, width=math.exp(low))) > 1:
        return None
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if used(replace(scaling, width=math.exp(middle))) <= 1 else (low, middle)
    return math.exp(low)


def _does_not_fit(costs: Mapping[str, float], limits: Limits) -> str:
    told = (f"{format_quantity(costs[one.metric])} {METRIC_WORDS.get(one.metric, one.metric)}" for one in limits)
    return f"its smallest scaling has {', '.join(told)}"
