"""The shipped surrogate: plain numbers and a few matrix products of numpy.

It is fitted to the trainings and measurements of Accel-NASBench (Apache-2.0, see NOTICE). It predicts top-1 after the
benchmark's proxy schedule (16 epochs at 160 to 192 px with ReLU and hard-sigmoid SE). These
values are meant for ranking networks; they are not the accuracies of fully trained networks.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.core.errors import InputError
from nas.evaluate.cost.table import CostTable
from nas.evaluate.imagenet.measured_table import ACCURACY, DEVICE_COLUMNS
from nas.evaluate.imagenet.skeleton import Floats, Genes, skeleton, stage_options, stage_sizes, thermometer

SHIPPED = Path(__file__).parent / "imagenet.npz"
ALL, SEARCH, REPORT = FITS = ("all", "search", "report")
CHUNK = 4096  # rows whose intermediate values stay in the cache
Numbers = Mapping[str, NDArray[Any]]


class Surrogate:
    """Predicts ImageNet accuracy and accelerator speed of genotypes of the ``efficientnet`` space.

    There are three fits of the accuracy: ``search`` and ``report`` were fitted to disjoint halves of the measured
    networks, so that networks picked with one fit can be judged by the other; ``all`` was fitted to both halves.

    Args:
        numbers: arrays by name, as ``fit_surrogate`` returns them.
    """

    def __init__(self, numbers: Numbers) -> None:
        self.numbers = numbers
        self.about: dict[str, Any] = json.loads(str(numbers["about"]))
        self._layers = {name: _layers(numbers, name) for name in FITS}

    def accuracy(self, genes: Genes, fit: str = ALL) -> tuple[Floats, Floats]:
        """Return predicted top-1 in percent and its standard deviation, each ``(n,)``.

        The standard deviation is that of one new training around the prediction, seed noise included.
        """
        mean, spread = np.empty((2, len(genes)), dtype=np.float32)
        slope = self.numbers[f"{fit}.spread"]
        for start in range(0, len(genes), CHUNK):
            part = slice(start, start + CHUNK)
            features = thermometer(genes[part])
            mean[part] = forward(self._layers[fit], features)[:, 0]
            spread[part] = np.exp(slope[0] + features @ slope[1:])
        return mean, np.maximum(spread, self.numbers[f"{fit}.least_spread"].astype(np.float32))

    def longer(self, top1: Floats, spread: Floats) -> tuple[Floats, Floats]:
        """Return top-1 and its std after the benchmark's longer schedule, predicted from their proxy-schedule values.

        The longer schedule is about 5.5 times as long. The prediction is a straight line fitted to 117 architectures
        that were trained with both schedules, three times each. It does not apply to still longer recipes.
        """
        intercept, slope, residual = self.numbers["longer"]
        return intercept + slope * top1, np.sqrt((slope * spread) ** 2 + residual**2)

    def device(self, genes: Genes) -> dict[str, Floats]:
        """Return every column of ``DEVICE_COLUMNS``, images a second or ms, each ``(n,)``."""
        columns = np.empty((len(genes), len(DEVICE_COLUMNS)), dtype=np.float32)
        for start in range(0, len(genes), CHUNK):
            part = slice(start, start + CHUNK)
            milliseconds = device_milliseconds(self.numbers, genes[part])
            columns[part] = np.where(_is_throughput(), 1000 / milliseconds, milliseconds)
        return {name: columns[:, index] for index, name in enumerate(DEVICE_COLUMNS)}

    def columns(self, genes: Genes) -> dict[str, Floats]:
        """Return predictions of every measured column, in the units of the table of measured networks."""
        return {ACCURACY: self.accuracy(genes)[0], **self.device(genes)}

    def extrapolates(self, genes: Genes) -> NDArray[np.bool_]:
        """Return whether each genotype ``(n, 28)`` is outside the range of networks that the surrogate was fitted to.

        It is outside if its MACs or params are smaller or larger than those of all these networks, or if the
        Mahalanobis distance of its features is larger than that of all these networks.
        """
        costs = _table().costs(genes)
        sizes = np.stack([costs["macs"], costs["params"]], axis=1)
        beyond = (sizes < self.numbers["seen.low"]) | (sizes > self.numbers["seen.high"])
        away = thermometer(genes) - self.numbers["seen.center"]
        distance = ((away @ self.numbers["seen.inverse"]) * away).sum(axis=1)
        found: NDArray[np.bool_] = beyond.any(axis=1) | (distance > float(self.numbers["seen.most"]))
        return found


def device_milliseconds(numbers: Numbers, genes: Genes) -> Floats:
    """Return the milliseconds of one image by ``DEVICE_COLUMNS``, ``(n, columns)``.

    The time is a sum over the stages, multiplied by a correction factor that a perceptron predicts.
    """
    options = stage_options(genes) + _offsets()
    milliseconds = numbers["devices.base"] + numbers["devices.tables"][options].sum(axis=1)
    correction = forward(_layers(numbers, "devices"), thermometer(genes))
    return np.asarray(np.maximum(milliseconds, numbers["devices.least"]) * np.exp(correction), dtype=np.float32)


def load_surrogate(path: Path = SHIPPED) -> Surrogate:
    """Read a surrogate's numbers; nothing is unpickled.

    Raises:
        InputError: if the file holds no surrogate.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            return Surrogate({name: file[name] for name in file.files})
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise InputError(f"{path}: holds no surrogate ({type(error).__name__}: {error})") from None


@cache
def shipped_surrogate() -> Surrogate:
    """Return the surrogate that is shipped with this package."""
    return load_surrogate()


@cache
def _table() -> CostTable:
    return CostTable(skeleton())


@cache
def _offsets() -> Genes:
    return np.cumsum([0, *stage_sizes()[:-1]])


@cache
def _is_throughput() -> NDArray[np.bool_]:
    return np.array([name.endswith("_throughput") for name in DEVICE_COLUMNS])


def _layers(numbers: Numbers, name: str) -> list[tuple[Floats, Floats]]:
    count = sum(key.startswith(f"{name}.weight") for key in numbers)
    return [(numbers[f"{name}.weight{index}"], numbers[f"{name}.bias{index}"]) for index in range(count)]


def forward(layers: list[tuple[Floats, Floats]], features: Floats) -> Floats:
    """Run a perceptron with ReLU, ``(n, inputs)`` to ``(n, outputs)``."""
    for weight, bias in layers[:-1]:
        features = features @ weight
        features += bias
        np.maximum(features, 0, out=features)
    weight, bias = layers[-1]
    return features @ weight + bias
