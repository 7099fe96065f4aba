"""Choice of the kind of domain for a space and its limits."""

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
        InputError: if no network of the space is inside the limits. The message names the limit that excludes them and
            the values that can be reached.
    """
    predicted = {limit.metric for limit in limits} - set(COST_METRICS)
    if costs.table is not None and not predicted:
        return TableDomain(space, costs, costs.table, limits, examine)
    if costs.table is not None and costs.device is not None and predicted <= set(costs.device.metrics):
        from nas.evaluate.cost.predicted_domain import PredictedDomain

        return PredictedDomain(space, costs, costs.table, limits, examine)
    return SearchedDomain(space, costs, limits, examine)
