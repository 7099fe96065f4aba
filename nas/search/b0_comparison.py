"""Comparison of EfficientNet-B0 with the network that a search on the surrogate has found."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from nas.core.errors import InputError
from nas.evaluate.cost.exact import network_cost
from nas.evaluate.devices import network_speed
from nas.evaluate.imagenet.judgement import Judgement, gain_interval, judge
from nas.evaluate.imagenet.prediction import ALL, shipped_surrogate
from nas.evaluate.imagenet.skeleton import Genes, b0_genes, genes_of, skeleton_genes
from nas.search.assemble import Setup
from nas.search.result import PredictedNetwork, PredictionResult
from nas.search_spaces.catalogue import reference_network
from nas.search_spaces.network import Network

SAMPLE = 20_000
_MOST_DRAWS = 500_000  # a tight limit on predicted speed rejects most of these draws


@dataclass(frozen=True)
class Side:
    """One network of the comparison, with its exact costs and its predictions."""

    network: Network
    genes: tuple[int, ...]
    macs: int
    params: int
    judgement: Judgement
    speed: dict[str, float]


@dataclass(frozen=True)
class B0Comparison:
    """The comparison.

    Attributes:
        found: the search's network.
        b0: EfficientNet-B0.
        gain: difference in predicted accuracy, a fraction.
        gain_interval: its 95% interval for one training of each.
        b0_inside: whether B0 is inside the search's limits.
        b0_better_than: the share of architectures inside the limits whose predicted reward is below B0's; ``None``
            if B0 is outside the limits, or architectures inside them cannot be drawn uniformly.
        sample: number of architectures, drawn uniformly inside the limits, from which that share is computed.
    """

    found: Side
    b0: Side
    gain: float
    gain_interval: tuple[float, float]
    b0_inside: bool
    b0_better_than: float | None
    sample: int

    def as_result(self) -> PredictionResult:
        """Return the comparison in the form of ``result.json``."""
        return PredictionResult(
            found=_as_result(self.found),
            efficientnet_b0=_as_result(self.b0),
            gain=self.gain,
            gain_interval=self.gain_interval,
            b0_inside=self.b0_inside,
            b0_better_than=self.b0_better_than,
            sample=self.sample,
        )


def compare_with_b0(setup: Setup, network: Network | None, sample: int = SAMPLE) -> B0Comparison | None:
    """Compare a run's baseline with EfficientNet-B0.

    Returns ``None`` if the run's accuracies are not predicted by the surrogate, or ``network`` is ``None``.
    """
    if not setup.evaluator.is_predicted or network is None:
        return None
    reference = reference_network("efficientnet_b0")
    found, b0 = _side(setup, network, genes_of(network)), _side(setup, reference, b0_genes())
    known = {"macs": b0.macs, "params": b0.params, **network_cost(reference).metrics(), **b0.speed}
    inside = setup.limits.admits({limit.metric: np.nan for limit in setup.limits} | known)
    share, drawn = b0_share(setup, b0, sample) if inside else (None, 0)
    return B0Comparison(
        found=found,
        b0=b0,
        gain=found.judgement.accuracy - b0.judgement.accuracy,
        gain_interval=gain_interval(found.judgement, b0.judgement),
        b0_inside=inside,
        b0_better_than=share,
        sample=drawn,
    )


def b0_share(setup: Setup, b0: Side, sample: int, seed: int = 0) -> tuple[float | None, int]:
    """Draw a uniform sample inside the limits. Return the share with a lower predicted reward than B0, and the size.

    All rewards are predicted by the fit to all trainings, which the search does not use.
    """
    sample = min(sample, int(getattr(setup.domain, "acceptance", 1.0) * _MOST_DRAWS))
    genes = sample_inside(setup, sample, np.random.default_rng(seed)) if sample else None
    if genes is None or not getattr(setup.domain, "uniform", True):
        return None, 0
    return float((predicted_rewards(setup, genes) < b0_reward(setup, b0)).mean()), len(genes)


def b0_reward(setup: Setup, b0: Side) -> float:
    """Return B0's reward by the fit to all trainings."""
    accuracy = float(_predicted_accuracy(np.array([b0.genes]))[0])
    return setup.reward({"accuracy": accuracy, "macs": b0.macs, "params": b0.params, **b0.speed})


def sample_inside(setup: Setup, count: int, generator: np.random.Generator) -> Genes | None:
    """Draw genotypes inside the limits, ``(count, genes)``; ``None`` where the domain cannot draw many at once."""
    return None if setup.costs.table is None else setup.domain.sample_genes(generator, count)


def predicted_rewards(setup: Setup, genes: Genes) -> NDArray[np.float64]:
    """Return the rewards ``(n,)`` of genotypes of the run's space, predicted by the fit to all trainings."""
    accuracy = _predicted_accuracy(skeleton_genes(setup.space, genes))
    return setup.reward.many({**setup.costs.columns(genes), "accuracy": accuracy})


def _predicted_accuracy(genes: Genes) -> NDArray[np.float64]:
    """Return top-1 as fractions ``(n,)`` for genotypes of the skeleton, by the fit to all trainings."""
    return shipped_surrogate().accuracy(genes, ALL)[0].astype(np.float64) / 100


def _side(setup: Setup, network: Network, genes: tuple[int, ...]) -> Side:
    cost = network_cost(network)
    return Side(network, genes, cost.macs, cost.params, judge(genes), _speed(setup, network))


def _speed(setup: Setup, network: Network) -> dict[str, float]:
    """Return a network's predicted speed; empty if the run has no device, or the device does not cover the network."""
    if setup.config.objective.device is None:
        return {}
    try:
        return network_speed(setup.config.objective.device, network)[0]
    except InputError:
        return {}


def _as_result(side: Side) -> PredictedNetwork:
    judged = side.judgement
    return PredictedNetwork.model_validate(
        {"macs": side.macs, "params": side.params, **side.speed, **asdict(judged), "optimism": judged.optimism}
    )
