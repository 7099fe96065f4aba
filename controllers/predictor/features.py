"""Features of genotypes and their costs, as numbers that a model can learn from.

Option indices are encoded in two ways, and the model learns the mixture of both. In the thermometer encoding (is the
index at least 1, at least 2, ...) neighbouring options are similar, as for kernels, widths and depths. In the one-hot
encoding all options differ equally, as for kinds of operation. Costs that are known before training are standardised
logarithms: a network with more parameters tends to be more accurate, and the model need not learn this gene by gene.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nas.controllers.task import Numbers
from nas.search_spaces.domain import Columns, Genes

COSTS = ("macs", "params")
MOST_STEPS, MOST_KINDS = 63, 512  # maximum numbers of thermometer and one-hot features of one gene
MOST_SPREAD = 8.0  # maximum mean squared length of one gene's features: more options do not increase its weight


class Features:
    """The encoding of a space's genotypes.

    Args:
        sizes: how many options each gene has.

    Attributes:
        groups: index of the weight that scales each feature, ``(features,)``: first the weights of the genes, then
            those of the costs.
        categorical: which features are one-hot ``(features,)``.
        genes: how many genes there are.
        weights: how many weights there are.
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        self.genes = len(sizes)
        self.weights = self.genes + len(COSTS)
        groups: list[int] = []
        categorical: list[bool] = []
        self._tables: list[Numbers] = []
        for gene, options in enumerate(sizes):
            thermometer, one_hot = _thermometer(options), _one_hot(options)
            self._tables.append(np.concatenate([thermometer, one_hot], axis=1))
            groups += [gene] * self._tables[-1].shape[1]
            categorical += [False] * thermometer.shape[1] + [True] * one_hot.shape[1]
        self.groups: NDArray[np.int64] = np.array(groups + [self.genes + index for index in range(len(COSTS))])
        self.categorical: NDArray[np.bool_] = np.array(categorical + [False] * len(COSTS))

    def of(self, genes: Genes, costs: Columns) -> Numbers:
        """Return the features ``(n, features)``; costs are logarithms, not standardised, 0 if unknown."""
        none = np.zeros(len(genes))
        columns = [table[genes[:, gene]] for gene, table in enumerate(self._tables)]
        known = [np.log(np.maximum(np.nan_to_num(costs.get(name, none)), 1)) for name in COSTS]
        return np.concatenate([*columns, np.stack(known, axis=1)], axis=1)

    def standardise(self, features: Numbers, spread: Numbers) -> Numbers:
        """Return features with the costs standardised by their means and stds in ``spread``, ``(2, costs)``."""
        standard = features.copy()
        standard[:, -len(COSTS) :] = (features[:, -len(COSTS) :] - spread[0]) / spread[1]
        return standard


def spread_of(features: Numbers) -> Numbers:
    """Return the mean and the std of each cost ``(2, costs)`` over ``features``; the std is 1 for a constant cost."""
    costs = features[:, -len(COSTS) :]
    std = costs.std(axis=0)
    return np.stack([costs.mean(axis=0), np.where(std > 1e-9, std, 1.0)])


def _thermometer(options: int) -> Numbers:
    """Return the thermometer encoding ``(options, steps)``: whether the index is at least 1, 2, ...

    Each step has mean 0 and std 1 over the options, before ``_bounded``. A gene has at most ``MOST_STEPS`` steps,
    evenly spread over its options.
    """
    steps = np.unique(np.linspace(1, max(options - 1, 1), min(options - 1, MOST_STEPS)).astype(np.int64))
    share = 1 - steps / options
    return _bounded(((np.arange(options)[:, None] >= steps) - share) / np.sqrt(share * (1 - share)))


def _one_hot(options: int) -> Numbers:
    """Return the one-hot encoding ``(options, options)`` with mean 0, on the scale of the thermometer encoding.

    It is empty for at most two options, where both encodings are the same, and for more than ``MOST_KINDS`` options,
    which are too many for categories.
    """
    if options <= 2 or options > MOST_KINDS:
        return np.zeros((options, 0))
    return _bounded((np.eye(options) - 1 / options) * np.sqrt(options))


def _bounded(features: Numbers) -> Numbers:
    """Return one gene's features ``(options, n)``, scaled down where their mean squared length is too large."""
    squared = float(np.square(features).sum(axis=1).mean()) if features.size else 0.0
    return features * np.sqrt(min(MOST_SPREAD / squared, 1.0)) if squared else features
