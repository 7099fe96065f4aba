"""A Gaussian process for accuracies (Rasmussen and Williams 2006, chapters 2 and 5).

With the weighted features ``u`` of an architecture and ``p = u . u' / genes``, the covariance of two architectures is

    1 + a p + b p^2 + c exp(-(|u|^2 + |u'|^2) / (2 genes) + p)

The terms are a constant, main effects, pairwise interactions and a smooth remainder of any order. Every gene and every
cost has a weight (automatic relevance determination). The weights, ``a``, ``b``, ``c``, the noise and the share of the
categorical encoding are fitted: they maximise the posterior density under log-normal priors, by L-BFGS with exact
derivatives.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nas.controllers.predictor.features import Features, spread_of
from nas.controllers.task import Numbers

LINEAR, QUADRATIC, SMOOTH, NOISE, CATEGORICAL = range(5)
_MODES = np.array([0.0, np.log(0.3), np.log(0.3), np.log(1e-3), np.log(0.5)])  # modes of the priors, as logarithms
_DEVIATIONS = np.array([1.5, 1.5, 1.5, 2.0, 1.0])
_WEIGHT_DEVIATION = 0.5
SHARED = len(_MODES)
_LEAST_NOISE = 1e-5  # as a share of the accuracies' variance; keeps the matrices invertible
CONSTANT = 1.0
AT_ONCE = 4096  # predictions whose covariances are held in memory together
OUTLIER = 4.0  # values on the worse side that are more than this many robust stds from the median are clipped


@dataclass(frozen=True)
class Posterior:
    """Predictions of accuracy, in the unit of the fitted values.

    Attributes:
        mean: predicted means, ``(n,)``.
        std: standard deviations of the accuracies themselves, without the training noise, ``(n,)``.
    """

    mean: Numbers
    std: Numbers


class GaussianProcess:
    """A Gaussian process over a space's architectures.

    Args:
        features: the encoding of the architectures.
        rises: whether higher values are better; outliers on the worse side are clipped.

    Attributes:
        hyperparameters: logarithms of ``a``, ``b``, ``c``, the noise and the categorical share, then of the weights.
    """

    def __init__(self, features: Features, rises: bool = True) -> None:
        self.features, self.rises = features, rises
        self.modes = np.concatenate([_MODES, np.zeros(features.weights)])
        self.stds = np.concatenate([_DEVIATIONS, np.full(features.weights, _WEIGHT_DEVIATION)])
        self.hyperparameters = self.modes.copy()

    def learn_hyperparameters(self, rows: Numbers, accuracies: Numbers, steps: int) -> None:
        """Fit the hyperparameters to features ``(n, features)`` and accuracies ``(n,)``, from their current values."""
        from scipy.optimize import minimize

        standard = self.features.standardise(rows, spread_of(rows))
        targets = _standardised(accuracies, self.rises)[0]

        def objective(hyperparameters: Numbers) -> tuple[float, Numbers]:
            return self._negative_log_posterior(hyperparameters, standard, targets)

        bounds = [(mode - 4 * width, mode + 4 * width) for mode, width in zip(self.modes, self.stds, strict=True)]
        found = minimize(
            objective, self.hyperparameters, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": steps}
        )
        if np.isfinite(found.fun):
            self.hyperparameters = np.asarray(found.x, dtype=np.float64)

    def condition(
        self, rows: Numbers, accuracies: Numbers, without_result: Numbers, more_noise: Numbers | None = None
    ) -> None:
        """Condition the process on observed results.

        Args:
            rows: features of observed architectures, ``(n, features)``.
            accuracies: their accuracies, ``(n,)``.
            without_result: features of architectures whose result is not known (yet), ``(m, features)``; they reduce
                the uncertainty as if their results were the predicted ones (Desautels et al. 2014), and do not change
                the means.
            more_noise: variances of the accuracies in addition to the common noise, ``(n,)``.
        """
        self._spread = spread_of(rows)
        targets, self._centre, self._scale = _standardised(accuracies, self.rises)
        observed = self._weighted(rows)
        self._observed, self._count = np.concatenate([observed, self._weighted(without_result)]), len(rows)
        covariance = self._covariance(self._observed, self._observed)
        covariance[np.diag_indices_from(covariance)] += self.noise
        if more_noise is not None:
            places = np.arange(self._count)
            covariance[places, places] += more_noise / self._scale**2
        self._factor = _robust_cholesky(covariance)
        leading = self._factor[: self._count, : self._count]
        self._coefficients = _solved(leading, targets)

    @property
    def noise(self) -> float:
        """The variance of a training's noise, as a share of the variance of the accuracies."""
        return float(np.exp(self.hyperparameters[NOISE])) + _LEAST_NOISE

    def predict(self, rows: Numbers) -> Posterior:
        """Predict accuracies for features ``(n, features)``, 4,096 at a time."""
        parts = [self._predict(rows[start : start + AT_ONCE]) for start in range(0, max(len(rows), 1), AT_ONCE)]
        means, stds = zip(*((part.mean, part.std) for part in parts), strict=True)
        return Posterior(np.concatenate(means), np.concatenate(stds))

    def _predict(self, rows: Numbers) -> Posterior:
        points = self._weighted(rows)
        across = self._covariance(points, self._observed)
        mean = across[:, : self._count] @ self._coefficients
        explained = _whitened(self._factor, across.T)
        variance = self._own_variance(points) - np.einsum("ij,ij->j", explained, explained)
        return Posterior(self._centre + self._scale * mean, self._scale * np.sqrt(np.maximum(variance, 1e-12)))

    def joint(self, rows: Numbers) -> tuple[Numbers, Numbers]:
        """Return the posterior's means ``(n,)`` and covariances ``(n, n)`` for features ``(n, features)``."""
        points = self._weighted(rows)
        across = self._covariance(points, self._observed)
        explained = _whitened(self._factor, across.T)
        covariance = self._covariance(points, points) - explained.T @ explained
        mean = across[:, : self._count] @ self._coefficients
        return self._centre + self._scale * mean, self._scale**2 * covariance

    def prior_covariance(self, rows: Numbers) -> Numbers:
        """Return the covariances ``(n, n)`` before anything is observed, in units of the accuracies' variance."""
        self._spread = spread_of(rows)
        points = self._weighted(rows)
        return self._covariance(points, points)

    @property
    def noise_variance(self) -> float:
        """The variance of a training's noise, in the unit of the accuracies, squared."""
        return self._scale**2 * self.noise

    def state(self) -> list[float]:
        """Return the hyperparameters as plain numbers."""
        return [float(value) for value in self.hyperparameters]

    def load_state(self, state: Any) -> None:
        """Restore the hyperparameters.

        Raises:
            ValueError: if their number does not match the features.
        """
        self.hyperparameters = np.asarray(state, dtype=np.float64).reshape(self.modes.shape)

    def _weighted(self, rows: Numbers) -> Numbers:
        return self.features.standardise(rows, self._spread) * self._scales(self.hyperparameters)

    def _scales(self, hyperparameters: Numbers) -> Numbers:
        """Return the factor that scales each feature."""
        categorical = np.exp(hyperparameters[CATEGORICAL]) * self.features.categorical
        mixture = np.where(self.features.categorical, categorical, 1.0)
        scales: Numbers = np.exp(hyperparameters[SHARED:])[self.features.groups] * mixture
        return scales

    def _covariance(self, first: Numbers, second: Numbers) -> Numbers:
        linear, quadratic, smooth = np.exp(self.hyperparameters[[LINEAR, QUADRATIC, SMOOTH]])
        products = first @ second.T / self.features.genes
        exponents = products - (_norms(first)[:, None] + _norms(second)) / (2 * self.features.genes)
        result: Numbers = CONSTANT + products * (linear + quadratic * products) + smooth * np.exp(exponents)
        return result

    def _own_variance(self, points: Numbers) -> Numbers:
        linear, quadratic, smooth = np.exp(self.hyperparameters[[LINEAR, QUADRATIC, SMOOTH]])
        own = _norms(points) / self.features.genes
        return np.asarray(CONSTANT + own * (linear + quadratic * own) + smooth)

    def _negative_log_posterior(
        self, hyperparameters: Numbers, standard: Numbers, targets: Numbers
    ) -> tuple[float, Numbers]:
        """Return the negative logarithm of the posterior density and its derivatives (equations 2.30 and 5.9)."""
        genes, count = self.features.genes, len(targets)
        linear, quadratic, smooth, noise = np.exp(hyperparameters[: NOISE + 1])
        points = standard * self._scales(hyperparameters)
        products = points @ points.T / genes
        own = np.diag(products)
        smooths = smooth * np.exp(products - (own[:, None] + own) / 2)
        covariance = CONSTANT + products * (linear + quadratic * products) + smooths
        covariance[np.diag_indices(count)] += noise + _LEAST_NOISE
        factor = _robust_cholesky(covariance)
        coefficients = _solved(factor, targets)
        inverse = _solved(factor, np.eye(count))
        away = (hyperparameters - self.modes) / self.stds
        value = 0.5 * targets @ coefficients + np.log(np.diag(factor)).sum() + 0.5 * away @ away

        outer = 0.5 * (inverse - np.outer(coefficients, coefficients))  # derivative of the value by the covariance
        by_products = outer * (linear + 2 * quadratic * products + smooths)
        by_norms = -(outer * smooths).sum(axis=1)  # |u|^2 / genes appears in its row and its column, halved in each
        by_points = ((by_products + by_products.T) @ points + 2 * by_norms[:, None] * points) / genes
        by_scales = (by_points * points).sum(axis=0)  # derivative of the value by the logarithm of each scale
        gradient = away / self.stds
        gradient[LINEAR] += (outer * products).sum() * linear
        gradient[QUADRATIC] += (outer * products**2).sum() * quadratic
        gradient[SMOOTH] += (outer * smooths).sum()
        gradient[NOISE] += np.trace(outer) * noise
        gradient[CATEGORICAL] += by_scales[self.features.categorical].sum()
        gradient[SHARED:] += np.bincount(self.features.groups, by_scales, self.features.weights)
        return float(value), gradient


def _norms(points: Numbers) -> Numbers:
    return np.asarray(np.einsum("ij,ij->i", points, points))


def _standardised(accuracies: Numbers, rises: bool = True) -> tuple[Numbers, float, float]:
    """Return clipped accuracies with mean 0 and std 1, and the mean and the std before the standardisation.

    Outliers are clipped: values that are too low, or too high if ``rises`` is False. A training that almost failed says
    little about its neighbours, and would stretch the scale of all others.
    """
    middle = float(np.median(accuracies))
    usual = 1.4826 * float(np.median(np.abs(accuracies - middle)))
    least, most = (middle - OUTLIER * usual, np.inf) if rises else (-np.inf, middle + OUTLIER * usual)
    clipped = np.clip(accuracies, least, most) if usual > 0 else accuracies
    centre, scale = float(clipped.mean()), float(clipped.std())
    scale = scale if scale > 1e-12 * max(abs(centre), 1e-100) else 1.0
    return (clipped - centre) / scale, centre, scale


def _solved(factor: Numbers, right: Numbers) -> Numbers:
    """Return the solution of a system whose matrix has this lower Cholesky factor."""
    from scipy.linalg import cho_solve

    return np.asarray(cho_solve((factor, True), right, check_finite=False))


def _whitened(factor: Numbers, right: Numbers) -> Numbers:
    """Return the solution of a system whose matrix is this lower factor itself."""
    from scipy.linalg import solve_triangular

    return np.asarray(solve_triangular(factor, right, lower=True, check_finite=False))


def _robust_cholesky(matrix: Numbers) -> Numbers:
    """Return the lower Cholesky factor, adding a growing multiple of the identity until the factorisation succeeds.

    Raises:
        FloatingPointError: if it never succeeds, because the matrix holds values that are not finite.
    """
    from scipy.linalg import cholesky

    added = 0.0
    while True:
        try:
            shifted = matrix + added * np.eye(len(matrix)) if added else matrix
            return np.asarray(cholesky(shifted, lower=True, check_finite=False))
        except np.linalg.LinAlgError:
            added = max(10 * added, 1e-8)
            if added > 1e3:
                raise FloatingPointError("the covariance of the predictor is not finite") from None
