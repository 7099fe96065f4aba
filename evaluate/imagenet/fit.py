"""Fit of the shipped surrogate to a table of measured networks.

The accuracy is learned by a stack of large models, chosen by cross-validation (see ``docs/surrogate.md``), and
distilled into a perceptron that is fitted to the stack's predictions for random architectures.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.core.statistics import agreement
from nas.evaluate.cost.table import CostTable
from nas.evaluate.imagenet.device_fit import fit_devices
from nas.evaluate.imagenet.distil import fit_perceptron, named, random_genes
from nas.evaluate.imagenet.main_effects import main_effects
from nas.evaluate.imagenet.measured_table import ACCURACY, MeasuredTable
from nas.evaluate.imagenet.prediction import ALL, REPORT, SEARCH, Surrogate, forward
from nas.evaluate.imagenet.skeleton import Genes, skeleton, thermometer
from nas.evaluate.imagenet.teachers import (
    Boosting,
    GaussianProcess,
    Perceptrons,
    Ridge,
    Teacher,
    products,
    restored,
    teacher_features,
    transformed,
)

Array = NDArray[Any]
Tell = Callable[[str], None]
FOLDS = 5
ARCHITECTURES = 800_000  # number of architectures on which the perceptrons are distilled
HIDDEN, EPOCHS = 192, 20
LEAST_ROWS = 200
_LEAST_SPREAD = 0.1  # quantile of the rows' standard deviations; no smaller value is predicted

CANDIDATES: dict[str, Callable[[], Teacher]] = {
    "linear": lambda: Ridge(lambda features: features, 1.0),
    "pairwise ridge": lambda: Ridge(products, 10.0),
    "gradient boosting": Boosting,
    "Gaussian process": GaussianProcess,
    "perceptrons": Perceptrons,
}
_STACK = {"perceptrons": 0.5, "Gaussian process": 0.5}


class Stack:
    """The weighted mean of several teachers on the transformed accuracy.

    Args:
        weights: weights of ``CANDIDATES`` by name, which sum to 1.
    """

    def __init__(self, weights: Mapping[str, float]) -> None:
        self.weights = weights

    def fit(self, genes: Genes, top1: Array) -> Stack:
        """Fit the teachers to genotypes ``(n, 28)`` and their top-1 in percent ``(n,)``."""
        features = teacher_features(genes)
        self.teachers = {name: CANDIDATES[name]().fit(features, transformed(top1)) for name in self.weights}
        return self

    def predict(self, genes: Genes) -> Array:
        """Return the predicted top-1 in percent, ``(n,)``."""
        features = teacher_features(genes)
        return restored(
            np.asarray(sum(weight * self.teachers[name].predict(features) for name, weight in self.weights.items()))
        )


def fit_surrogate(
    table: MeasuredTable, longer: Array | None = None, seed: int = 0, tell: Tell = lambda _: None
) -> dict[str, Array]:
    """Fit all parts of a ``Surrogate`` and return its numbers.

    Args:
        table: measured networks; every row is used.
        longer: ``(n, 2)`` top-1 after the proxy schedule and after the longer one; ``None`` keeps the shipped
            regression line.
        seed: seed of the split into halves, of the drawn architectures and of all initial weights.
        tell: function that receives progress messages.
    """
    table = table.merged()
    known = table.rows(~np.isnan(table.columns[ACCURACY]))
    genes, top1 = known.genes, known.columns[ACCURACY]
    generator = np.random.default_rng(seed)
    drawn = random_genes(ARCHITECTURES, generator)
    order = generator.permutation(len(genes))
    halves = {SEARCH: np.sort(order[: len(order) // 2]), REPORT: np.sort(order[len(order) // 2 :])}
    numbers: dict[str, Array] = {}
    about: dict[str, Any] = {"rows": len(genes), "source": "Accel-NASBench (Apache-2.0)", "seed": seed}
    tell(f"accuracy, {ALL}: {FOLDS} folds of {len(genes)} rows")
    residuals = top1 - _out_of_fold(lambda: Stack(_STACK), genes, top1, seed)
    about["out_of_fold"] = agreement(top1, top1 - residuals)
    tell(f"out of fold: {_words(about['out_of_fold'])}")
    numbers |= _distilled(ALL, Stack(_STACK).fit(genes, top1), drawn, seed, tell) | _spread(ALL, genes, residuals)
    for name, other in ((SEARCH, REPORT), (REPORT, SEARCH)):
        tell(f"accuracy, {name}: {len(halves[name])} rows, std from the other {len(halves[other])}")
        stack = Stack(_STACK).fit(genes[halves[name]], top1[halves[name]])
        numbers |= _distilled(name, stack, drawn, seed, tell)
        unseen = halves[other]
        numbers |= _spread(name, genes[unseen], top1[unseen] - stack.predict(genes[unseen]))
    tell("devices")
    device_numbers, about["devices"] = fit_devices(table, seed)
    numbers |= device_numbers | _seen(genes) | main_effects(genes, top1)
    numbers["longer"] = _line(longer)
    return numbers | {"about": np.array(json.dumps(about))}


def _out_of_fold(make: Callable[[], Stack], genes: Genes, top1: Array, seed: int = 0) -> Array:
    """Return for every row the prediction of a model that was fitted to the other folds, ``(n,)``."""
    place = np.random.default_rng(seed).permutation(len(genes)) % FOLDS
    predicted = np.empty(len(genes))
    for fold in range(FOLDS):
        mine = place == fold
        predicted[mine] = make().fit(genes[~mine], top1[~mine]).predict(genes[mine])
    return predicted


def compare_candidates(table: MeasuredTable, seed: int = 0, tell: Tell = lambda _: None) -> dict[str, dict[str, float]]:
    """Cross-validate every candidate and the stack; return their agreement with the measured accuracy."""
    table = table.merged()
    top1 = table.columns[ACCURACY]
    found = {}
    for name, weights in {**{name: {name: 1.0} for name in CANDIDATES}, "stack": _STACK}.items():
        predicted = _out_of_fold(lambda chosen=weights: Stack(chosen), table.genes, top1, seed)  # type: ignore[misc]
        found[name] = agreement(top1, predicted)
        tell(f"{name}: {_words(found[name])}")
    return found


def save_numbers(numbers: Mapping[str, Array]) -> bytes:
    """Return the numbers as the bytes of an ``.npz`` file: arrays without pickles; equal numbers give equal bytes."""
    Surrogate(numbers)  # check that the numbers can be read again
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **{name: numbers[name] for name in sorted(numbers)})  # type: ignore[arg-type]
    return buffer.getvalue()


def read_longer(path: Path) -> Array:
    """Read ``top1_proxy`` and ``top1_longer`` of architectures trained with both schedules, averaged over seeds.

    Raises:
        InputError: if the file lacks the columns.
    """
    import csv

    from nas.core.errors import InputError

    sums: dict[tuple[str, ...], list[tuple[float, float]]] = {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                choices = tuple(row[f"{letter}{stage}"] for stage in range(1, 8) for letter in ("e", "k", "l", "se"))
                sums.setdefault(choices, []).append((float(row["top1_proxy"]), float(row["top1_longer"])))
    except (OSError, KeyError, ValueError) as error:
        raise InputError(
            f"--longer: '{path}': expected the choices, top1_proxy and top1_longer: {type(error).__name__} {error}"
        ) from None
    return np.array([np.mean(pairs, axis=0) for pairs in sums.values()])


def _distilled(name: str, stack: Stack, drawn: Genes, seed: int, tell: Tell) -> dict[str, Array]:
    """Fit the shipped perceptron to the stack on 95% of the drawn networks; report its agreement on the other 5%."""
    features, labels = thermometer(drawn), stack.predict(drawn)
    held = len(drawn) // 20
    layers = fit_perceptron(features[held:], labels[held:, None], HIDDEN, EPOCHS, seed=seed)
    close = agreement(labels[:held], forward(layers, features[:held])[:, 0].astype(np.float64))
    tell(f"accuracy, {name}: the perceptron against its teachers: {_words(close)}")
    return dict(named(layers, name))


def _words(found: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4f}" for name, value in found.items())


def _spread(name: str, genes: Genes, residuals: Array) -> dict[str, Array]:
    """Fit the logarithm of the residuals' std on unseen rows, linear in the features, by Gaussian likelihood.

    The method is Fisher scoring with a small ridge; the information about the logarithm of the std is constant, 2 per
    row. Predictions of the std below their lower decile over the rows are not trusted; the decile replaces them.
    """
    features = np.concatenate([np.ones((len(genes), 1)), thermometer(genes)], axis=1)
    weights = np.zeros(features.shape[1])
    weights[0] = np.log(residuals.std())
    ridge = np.full(len(weights), 20.0)
    ridge[0] = 0

    def loss(tried: Array) -> float:
        logarithm = features @ tried
        return float((logarithm + 0.5 * residuals**2 * np.exp(-2 * logarithm)).sum() + 0.5 * (ridge * tried**2).sum())

    for _ in range(50):
        score = features.T @ (residuals**2 * np.exp(-2 * features @ weights) - 1) - ridge * weights
        step = np.linalg.solve(2 * features.T @ features + np.diag(ridge), score)
        while loss(weights + step) > loss(weights) and np.abs(step).max() > 1e-12:
            step /= 2
        weights += step
    least = np.exp(np.quantile(features @ weights, _LEAST_SPREAD))
    return {f"{name}.spread": weights.astype(np.float32), f"{name}.least_spread": np.array(least)}


def _seen(genes: Genes) -> dict[str, Array]:
    """Return the range of the networks that the surrogate is fitted to."""
    features = thermometer(genes).astype(np.float64)
    center = features.mean(axis=0)
    inverse = np.linalg.inv(np.cov(features.T) + 1e-6 * np.eye(features.shape[1]))
    away = features - center
    costs = CostTable(skeleton()).costs(genes)
    sizes = np.stack([costs["macs"], costs["params"]], axis=1)
    return {
        "seen.low": sizes.min(axis=0),
        "seen.high": sizes.max(axis=0),
        "seen.center": center.astype(np.float32),
        "seen.inverse": inverse.astype(np.float32),
        "seen.most": np.array(((away @ inverse) * away).sum(axis=1).max()),
    }


def _line(longer: Array | None) -> Array:
    """Return intercept, slope and residual std of the longer schedule's top-1 against the proxy's."""
    if longer is None:
        from nas.evaluate.imagenet.prediction import shipped_surrogate

        return np.asarray(shipped_surrogate().numbers["longer"])
    slope, intercept = np.polyfit(longer[:, 0], longer[:, 1], 1)
    residuals = longer[:, 1] - intercept - slope * longer[:, 0]
    return np.array([intercept, slope, residuals.std(ddof=2)])
