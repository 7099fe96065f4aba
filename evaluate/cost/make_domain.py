"""Make the part of a space that keeps to limits: which kind of domain suits it."""

from __future__ import annotations

from nas.evaluate.cost.domain import Examine, SearchedDomain, TableDomain
from nas.evaluate.cost.exact import COST_METRICS
from nas.evaluate.cost.known_costs import KnownCosts
from nas.evaluate.objective.limits import Limits
from nas.search_spaces.domain import Domain
from nas.search_spaces.space import SearchSpace


def limited_domain(space: SearchSpace, costs: KnownCosts, limits: Limits, examine: Examine | None = None) -> Domain:
    """Return the domain of ``space`` inside ``limits``.

    Raises:
        InputError: if nothing of the space is inside, naming the limit that empties it and what would be reachable.
    """
    predicted = {limit.metric for limit in limits} - set(COST_METRICS)
    if costs.table is not None and not predicted:
        return TableDomain(space, costs, costs.table, limits, examine)
    if costs.table is not None and costs.device is not None and predicted <= set(costs.device.metrics):
        from nas.evaluate.cost.predicted_domain import PredictedDomain

        return PredictedDomain(space, costs, costs.table, limits, examine)
    return SearchedDomain(space, costs, limits, examine)
