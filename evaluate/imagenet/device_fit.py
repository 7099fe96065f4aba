"""The device part of the surrogate: a sum of milliseconds over the stages, corrected by a perceptron.

Layers run one after the other, so the time of an image is nearly a sum over the stages, each term a function of the
stage's own choices (its input is the same in every network of the skeleton). Devices overlap and fuse some layers; a
small perceptron predicts the logarithm of the correction factor for that.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.evaluate.imagenet.distil import Layers, fit_perceptron, named
from nas.evaluate.imagenet.measured_table import DEVICE_COLUMNS, MeasuredTable
from nas.evaluate.imagenet.skeleton import Floats, Genes, stage_options, stage_sizes, thermometer

Array = NDArray[Any]
FOLDS = 5
_PENALTY = 0.3  # ridge penalty of the squared weights, which are in milliseconds
HIDDEN, EPOCHS, DECAY, MEMBERS = 64, 150, 0.3, 3
_LEAST_SHARE = 0.2  # share of the smallest measured time; smaller sums are raised to it


def fit_devices(table: MeasuredTable, seed: int = 0) -> tuple[dict[str, Array], dict[str, float]]:
    """Fit every device column.

    Returns:
        The numbers of the surrogate's device part, and the mean relative error of each column over five folds.
    """
    milliseconds = _milliseconds(table)
    place = np.random.default_rng(seed).permutation(len(table.genes)) % FOLDS
    predicted = np.empty_like(milliseconds)
    for fold in range(FOLDS):
        mine = place == fold
        predicted[mine] = predict(_fit(table.genes[~mine], milliseconds[~mine], seed), table.genes[mine])
    errors = np.nanmean(np.abs(predicted / milliseconds - 1), axis=0)
    return _fit(table.genes, milliseconds, seed), dict(zip(DEVICE_COLUMNS, errors.round(5).tolist(), strict=True))


def predict(numbers: dict[str, Array], genes: Genes) -> Array:
    """Return milliseconds per image, ``(n, columns)``."""
    from nas.evaluate.imagenet.prediction import device_milliseconds

    return device_milliseconds(numbers, genes).astype(np.float64)


def _milliseconds(table: MeasuredTable) -> Array:
    """Return every column as the milliseconds of one image, ``(n, columns)``."""
    empty = np.full(len(table.genes), np.nan)
    columns = [table.columns.get(name, empty) for name in DEVICE_COLUMNS]
    return np.stack(
        [1000 / v if name.endswith("_throughput") else v for name, v in zip(DEVICE_COLUMNS, columns, strict=True)],
        axis=1,
    )


def _fit(genes: Genes, milliseconds: Array, seed: int) -> dict[str, Array]:
    options = stage_options(genes)
    wide = np.concatenate([np.eye(size)[options[:, stage]] for stage, size in enumerate(stage_sizes())], axis=1)
    base, tables = np.empty(milliseconds.shape[1]), np.empty((wide.shape[1], milliseconds.shape[1]))
    for column, values in enumerate(milliseconds.T):
        base[column], tables[:, column] = _stage_sums(wide, values)
    numbers: dict[str, Array] = {
        "devices.base": base.astype(np.float32),
        "devices.tables": tables.astype(np.float32),
        "devices.least": (_LEAST_SHARE * np.nanmin(milliseconds, axis=0)).astype(np.float32),
    }
    sums = np.maximum(base + wide @ tables, numbers["devices.least"])
    residual, features = np.log(milliseconds / sums), thermometer(genes)
    members = [
        fit_perceptron(features, residual, HIDDEN, EPOCHS, batch=128, decay=DECAY, seed=seed + member)
        for member in range(MEMBERS)
    ]
    return numbers | named(_joined(members), "devices")


def _stage_sums(wide: Array, values: Array) -> tuple[float, Array]:
    """Regress milliseconds on the stages' options by relative error; return the intercept and the weights."""
    known = ~np.isnan(values)
    rows, values = wide[known], values[known]
    weight = (values.mean() / values) ** 2
    center, mean = np.average(rows, axis=0, weights=weight), np.average(values, weights=weight)
    rows = rows - center
    gram = rows.T @ (rows * weight[:, None]) + _PENALTY * np.eye(rows.shape[1])
    weights = np.linalg.solve(gram, rows.T @ (weight * (values - mean)))
    return float(mean - center @ weights), weights


def _joined(members: list[Layers]) -> Layers:
    """Return one perceptron that computes the members' mean: their hidden layers side by side."""
    first = [layers[0] for layers in members]
    second = [layers[1] for layers in members]
    last = [layers[2] for layers in members]
    wide = sum(weight.shape[0] for weight, _ in second)
    block: Floats = np.zeros((wide, wide), dtype=np.float32)
    start = 0
    for weight, _ in second:
        end = start + len(weight)
        block[start:end, start:end] = weight
        start = end
    count = np.float32(len(members))
    return [
        (np.concatenate([weight for weight, _ in first], axis=1), np.concatenate([bias for _, bias in first])),
        (block, np.concatenate([bias for _, bias in second])),
        (np.concatenate([weight for weight, _ in last]) / count, np.mean([bias for _, bias in last], axis=0)),
    ]
