"""The evaluator ``imagenet``, which predicts accuracy instead of training."""

from __future__ import annotations

import numpy as np

from nas.core.errors import InputError
from nas.core.records import Architecture
from nas.evaluate.imagenet.prediction import SEARCH, shipped_surrogate
from nas.evaluate.imagenet.skeleton import genes_of
from nas.search_spaces.network import Network


class ImageNetEvaluator:
    """Predicts ImageNet top-1 after the benchmark's proxy schedule, for networks on EfficientNet-B0's skeleton.

    It uses the fit ``search``. The networks that a search picks are judged by the fit ``report``, which was fitted to
    other networks.
    """

    def evaluate(self, architecture: Architecture, network: Network | None) -> dict[str, float]:  # noqa: ARG002
        """Return ``accuracy``, its ``accuracy_std``, and ``accuracy_longer`` after a longer schedule, as fractions.

        ``extrapolated`` is 1 if the network is outside the range of networks that the surrogate was fitted to; it is
        absent otherwise.

        Raises:
            InputError: if the network is not on the skeleton.
        """
        if network is None:
            raise InputError("the ImageNet surrogate needs a stage table")
        genes = np.array([genes_of(network)])
        surrogate = shipped_surrogate()
        mean, spread = surrogate.accuracy(genes, SEARCH)
        longer, _ = surrogate.longer(mean, spread)
        metrics = {
            "accuracy": float(mean[0]) / 100,
            "accuracy_std": float(spread[0]) / 100,
            "accuracy_longer": float(longer[0]) / 100,
        }
        return metrics | ({"extrapolated": 1} if surrogate.extrapolates(genes)[0] else {})
