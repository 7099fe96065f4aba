"""Evaluation of networks: cost, accuracy and reward."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nas.core.public import public_names

if TYPE_CHECKING:
    from nas.evaluate.contract import Diverged, Evaluator
    from nas.evaluate.cost.exact import Cost, network_cost
    from nas.evaluate.data.settings import DataSettings
    from nas.evaluate.objective.limits import Limits
    from nas.evaluate.objective.pareto import hypervolume, pareto_front
    from nas.evaluate.objective.reward import Reward
    from nas.evaluate.proxy.settings import ProxySettings

__all__ = [
    "Cost",
    "DataSettings",
    "Diverged",
    "Evaluator",
    "Limits",
    "ProxySettings",
    "Reward",
    "hypervolume",
    "network_cost",
    "pareto_front",
]

__getattr__, __dir__ = public_names(
    __name__,
    {
        "nas.evaluate.contract": ["Diverged", "Evaluator"],
        "nas.evaluate.cost.exact": ["Cost", "network_cost"],
        "nas.evaluate.data.settings": ["DataSettings"],
        "nas.evaluate.objective.limits": ["Limits"],
        "nas.evaluate.objective.pareto": ["hypervolume", "pareto_front"],
        "nas.evaluate.objective.reward": ["Reward"],
        "nas.evaluate.proxy.settings": ["ProxySettings"],
    },
)
