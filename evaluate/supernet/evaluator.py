"""The evaluator ``supernet``, which trains nothing: networks are scored with inherited weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from nas.core.errors import InputError
from nas.core.records import Architecture
from nas.evaluate.contract import Tested
from nas.evaluate.data.image_data import ImageData
from nas.evaluate.predictions import Predictions, pack
from nas.evaluate.proxy.evaluator import choose_device
from nas.evaluate.proxy.images import Images, Normalisation
from nas.evaluate.proxy.loop import predict
from nas.evaluate.proxy.precision import indexed_device
from nas.evaluate.supernet.calibration import calibrated
from nas.evaluate.supernet.file import SharedWeights, supernet_file
from nas.evaluate.supernet.one_network import OneNetwork
from nas.evaluate.supernet.settings import SharedWeightsSettings
from nas.search_spaces.network import Network
from nas.search_spaces.space import SearchSpace


class SupernetEvaluator:
    """Calibrates BatchNorm on training images, and scores on ``data.validation``; only ``test`` uses the test split.

    Args:
        settings: the supernet, and the images of a calibration.
        space: its space.
        data: the images.
        device: ``auto``, ``cpu`` or ``cuda``.
        metric: the metric that is maximised, and returned as ``accuracy``.

    Raises:
        InputError: if the supernet is of another space.
    """

    def __init__(
        self,
        settings: SharedWeightsSettings,
        space: SearchSpace,
        data: ImageData,
        device: str = "auto",
        metric: str = "accuracy",
    ) -> None:
        self.settings, self.data, self.metric = settings, data, metric
        self.device = indexed_device(choose_device(device))
        weights = SharedWeights.read(supernet_file(settings.supernet))
        self.supernet = weights.supernet(space).to(self.device)
        self.resolution = weights.form.resolution
        mean, std = (torch.tensor(values, device=self.device) for values in (weights.mean, weights.std))
        self._normalise = Normalisation(mean, 1 / std)
        self._parts: dict[str, Images] = {}

    def evaluate(self, architecture: Architecture, network: Network | None) -> dict[str, float]:  # noqa: ARG002
        """Return ``accuracy`` on the validation split; ``network`` is not read, because the genotype decides."""
        with self._own_threads():
            return self._scores(self.calibrated(architecture))

    def test(self, architecture: Architecture, network: Network | None) -> Tested:  # noqa: ARG002
        """Return ``accuracy`` as ``evaluate`` does, and ``test_accuracy``."""
        with self._own_threads():
            module = self.calibrated(architecture)
            tested = self._predictions(module, "test")
            metrics = {**self._scores(module), "test_accuracy": tested.metrics()[self.metric]}
        return Tested(metrics, pack(tested.correct))

    def calibrated(self, architecture: Architecture) -> OneNetwork:
        """Return one network with statistics of its own."""
        train, count = self._images("train"), self.settings.calibration_images

        def images(places: Tensor) -> Tensor:
            return self._normalise(self._crop(train.batch(places)[0]))

        with self._own_threads():
            return calibrated(self.supernet, architecture, len(train), count, images)

    def _scores(self, module: OneNetwork) -> dict[str, float]:
        metrics = self._predictions(module, "validation").metrics()
        plain = {} if self.metric == "accuracy" else {"plain_accuracy": metrics["accuracy"]}
        return {"accuracy": metrics[self.metric], **plain}

    def _predictions(self, module: OneNetwork, part: str) -> Predictions:
        classes = len(self.data.classes)
        return predict(module, self._images(part), self._normalise, classes, shape=self._crop)

    def _crop(self, pixels: Tensor) -> Tensor:
        """Return the middle of the images, at the supernet's resolution."""
        start = (pixels.shape[1] - self.resolution) // 2
        if start < 0:
            raise InputError(f"the images have {pixels.shape[1]} px, the supernet needs {self.resolution} px")
        return pixels[:, start : start + self.resolution, start : start + self.resolution]

    def _images(self, part: str) -> Images:
        if part not in self._parts:
            self._parts[part] = Images.load(getattr(self.data, part), self.device)
        return self._parts[part]

    @contextmanager
    def _own_threads(self) -> Iterator[None]:
        threads = torch.get_num_threads()
        torch.set_num_threads(self.settings.threads)
        try:
            yield
        finally:
            torch.set_num_threads(threads)
