"""The models from which the shipped perceptron is distilled; they map features ``(n, inputs)`` to targets ``(n,)``.

All of them use the transformed accuracy ``-log(_CEILING - top1)``, in which the effects of the choices are closer to
additive than in percent.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray

from nas.evaluate.cost.table import CostTable
from nas.evaluate.imagenet.skeleton import KINDS, STAGES, Genes, skeleton, thermometer

Array = NDArray[Any]
_CEILING = 74.0  # percent; above any accuracy of the schedule


def teacher_features(genes: Genes) -> Array:
    """Return the steps of ``thermometer`` and four sizes of the whole network, ``(n, 47)``.

    The sizes are logarithms of MACs, params, peak activations and layers, scaled to vary about as much as a step.
    """
    costs = CostTable(skeleton()).costs(genes)
    sizes = [costs[name].astype(np.float64) for name in ("macs", "params", "peak_activation_bytes")]
    layers = STAGES + genes[:, KINDS.index("layers") :: len(KINDS)].sum(axis=1)
    return np.concatenate([thermometer(genes), 1.5 * np.log(np.stack([*sizes, layers], axis=1))], axis=1)


class Teacher(Protocol):
    """A regression model that is fitted once and predicts often."""

    def fit(self, features: Array, targets: Array) -> Self:
        """Fit the model to features ``(n, inputs)`` and targets ``(n,)``."""

    def predict(self, features: Array) -> Array:
        """Return predictions ``(n,)``."""


def transformed(top1: Array) -> Array:
    """Return the transformed accuracy, to which teachers are fitted, from percent."""
    return np.asarray(-np.log(_CEILING - np.minimum(top1, _CEILING - 1)))


def restored(values: Array) -> Array:
    """Return percent from transformed accuracy; the inverse of ``transformed``."""
    return np.asarray(_CEILING - np.exp(-values))


def products(features: Array) -> Array:
    """Return the features and all their products in pairs."""
    first, second = np.triu_indices(features.shape[1], k=1)
    return np.concatenate([features, features[:, first] * features[:, second]], axis=1)


class Ridge:
    """Ridge regression on expanded features.

    Args:
        expand: function that expands the features.
        penalty: penalty of the squared weights.
    """

    def __init__(self, expand: Callable[[Array], Array], penalty: float) -> None:
        self.expand, self.penalty = expand, penalty

    def fit(self, features: Array, targets: Array) -> Self:
        """Solve the normal equations."""
        wide = self.expand(features.astype(np.float64))
        self.center, self.intercept = wide.mean(axis=0), targets.mean()
        wide = wide - self.center
        gram = wide.T @ wide + self.penalty * np.eye(wide.shape[1])
        self.weights = np.linalg.solve(gram, wide.T @ (targets - self.intercept))
        return self

    def predict(self, features: Array) -> Array:
        """Return predictions ``(n,)``."""
        return np.asarray((self.expand(features.astype(np.float64)) - self.center) @ self.weights + self.intercept)


class Boosting:
    """Gradient-boosted trees of scikit-learn, averaged over seeds."""

    def __init__(self, seeds: int = 2, trees: int = 1500) -> None:
        self.seeds, self.trees = seeds, trees

    def fit(self, features: Array, targets: Array) -> Self:
        """Grow the trees."""
        from sklearn.ensemble import HistGradientBoostingRegressor

        self.models = [
            HistGradientBoostingRegressor(
                max_iter=self.trees,
                learning_rate=0.03,
                max_leaf_nodes=6,
                min_samples_leaf=10,
                l2_regularization=1.0,
                max_features=0.3,
                random_state=seed,
            ).fit(features, targets)
            for seed in range(self.seeds)
        ]
        return self

    def predict(self, features: Array) -> Array:
        """Return predictions ``(n,)``."""
        return np.asarray(np.mean([model.predict(features) for model in self.models], axis=0))


class GaussianProcess:
    """Exact Gaussian process: squared-exponential plus linear kernel, with one scale per feature in each kernel.

    Scales, amplitude and noise maximise the marginal likelihood of random subsets (Rasmussen and Williams 2006,
    equation 5.8) by Adam; then the process is conditioned on all rows.

    Args:
        subset: number of rows in each step.
        steps: number of steps of Adam.
        seed: seed of the subsets.
    """

    def __init__(self, subset: int = 1000, steps: int = 80, seed: int = 0) -> None:
        self.subset, self.steps, self.seed = subset, steps, seed

    def fit(self, features: Array, targets: Array) -> Self:
        """Choose the kernel's parameters and condition on all rows."""
        self.center, self.mean, self.scale = features.mean(axis=0), targets.mean(), targets.std()
        self.seen = torch.tensor(features - self.center, dtype=torch.float64)
        values = torch.tensor((targets - self.mean) / self.scale, dtype=torch.float64)[:, None]
        inputs = features.shape[1]
        self.log_rates = torch.full((inputs,), -1.2, dtype=torch.float64)
        self.log_slopes = torch.full((inputs,), -1.5, dtype=torch.float64)
        self.log_amplitude = torch.zeros((), dtype=torch.float64)
        self.log_noise = torch.full((), -2.5, dtype=torch.float64)
        self._choose_parameters(values)
        with torch.no_grad():
            factor = self._factor(self.seen)
            self.weights = torch.cholesky_solve(values, factor)
        return self

    def predict(self, features: Array) -> Array:
        """Return posterior means ``(n,)``."""
        parts = []
        with torch.no_grad():
            for start in range(0, len(features), 4096):
                rows = torch.tensor(features[start : start + 4096] - self.center, dtype=torch.float64)
                parts.append((self._kernel(rows, self.seen) @ self.weights)[:, 0])
        return np.asarray(torch.cat(parts).numpy() * self.scale + self.mean)

    def _choose_parameters(self, values: torch.Tensor) -> None:
        parameters = [self.log_rates, self.log_slopes, self.log_amplitude, self.log_noise]
        for parameter in parameters:
            parameter.requires_grad_(True)
        optimizer = torch.optim.Adam(parameters, lr=0.1)
        schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.02, self.steps)
        generator = np.random.default_rng(self.seed)
        for _ in range(self.steps):
            rows = torch.from_numpy(generator.permutation(len(values))[: self.subset])
            factor = self._factor(self.seen[rows])
            fit = torch.cholesky_solve(values[rows], factor)
            loss = 0.5 * (values[rows] * fit).sum() + factor.diagonal().log().sum()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
        for parameter in parameters:
            parameter.requires_grad_(False)

    def _factor(self, rows: torch.Tensor) -> torch.Tensor:
        noise = torch.exp(2 * self.log_noise) * torch.eye(len(rows), dtype=torch.float64)
        factor: torch.Tensor = torch.linalg.cholesky(self._kernel(rows, rows) + noise)
        return factor

    def _kernel(self, rows: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
        rates, slopes = torch.exp(self.log_rates), torch.exp(self.log_slopes)
        near, far = rows * rates, others * rates
        square = (near * near).sum(1)[:, None] + (far * far).sum(1)[None] - 2 * near @ far.T
        bump = torch.exp(2 * self.log_amplitude - 0.5 * square.clamp_min(0))
        return bump + (rows * slopes) @ (others * slopes).T


class Perceptrons:
    """An ensemble of perceptrons with SiLU, trained in parallel by AdamW on the smooth L1 loss.

    Args:
        hidden: width of both hidden layers.
        members: number of members of the ensemble, each with its own initial weights and order of rows.
        epochs: passes over the rows.
        decay: AdamW's weight decay.
        seed: seed of the initial weights and the orders.
    """

    def __init__(
        self, hidden: int = 128, members: int = 16, epochs: int = 150, decay: float = 1 / 3, seed: int = 0
    ) -> None:
        self.hidden, self.members, self.epochs, self.decay, self.seed = hidden, members, epochs, decay, seed

    def fit(self, features: Array, targets: Array) -> Self:
        """Train all members at once."""
        generator = torch.Generator().manual_seed(self.seed)
        self.center, self.mean, self.scale = features.mean(axis=0), targets.mean(), targets.std()
        inputs = torch.tensor(features - self.center, dtype=torch.float32)
        values = torch.tensor((targets - self.mean) / self.scale, dtype=torch.float32)
        self.layers = self._start(inputs.shape[1], generator)
        rate, rows = 3e-3, min(128, len(inputs))
        batches = len(inputs) // rows
        optimizer = torch.optim.AdamW(
            [tensor for layer in self.layers for tensor in layer], rate, weight_decay=self.decay
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, self.epochs * batches, pct_start=0.1)
        for _ in range(self.epochs):
            orders = torch.stack([torch.randperm(len(inputs), generator=generator) for _ in range(self.members)])
            for batch in range(batches):
                chosen = orders[:, batch * rows : (batch + 1) * rows]
                error = torch.nn.functional.smooth_l1_loss(self._forward(inputs[chosen]), values[chosen], beta=0.3)
                optimizer.zero_grad()
                (error * self.members).backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()
        return self

    def predict(self, features: Array) -> Array:
        """Return the members' mean ``(n,)``."""
        parts = []
        with torch.no_grad():
            for start in range(0, len(features), 4096):
                rows = torch.tensor(features[start : start + 4096] - self.center, dtype=torch.float32)
                parts.append(self._forward(rows.expand(self.members, -1, -1)).mean(dim=0))
        return np.asarray(torch.cat(parts).numpy().astype(np.float64) * self.scale + self.mean)

    def _start(self, inputs: int, generator: torch.Generator) -> list[tuple[torch.Tensor, torch.Tensor]]:
        widths = (inputs, self.hidden, self.hidden, 1)
        layers = []
        for wide, narrow in pairwise(widths):
            gain = (2 / wide) ** 0.5 * (0.3 if narrow == 1 else 1.0)
            weight = gain * torch.randn(self.members, wide, narrow, generator=generator)
            layers.append((weight.requires_grad_(), torch.zeros(self.members, 1, narrow).requires_grad_()))
        return layers

    def _forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Map ``(members, n, inputs)`` to ``(members, n)``."""
        for weight, bias in self.layers[:-1]:
            rows = torch.nn.functional.silu(rows @ weight + bias)
        weight, bias = self.layers[-1]
        return (rows @ weight + bias)[..., 0]
