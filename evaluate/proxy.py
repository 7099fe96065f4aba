"""The proxy evaluator: trains a network for a few epochs and returns its validation accuracy.

Proxies train at the data's resolution with a head of the data's classes; the network's cost is counted elsewhere, at
its own deployment resolution and with its own head.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from nas.evaluate.data import ImageData, Part
from nas.evaluate.proxy_settings import ProxySettings
from nas.evaluate.training import Images, Normalisation, accuracy, train
from nas.search_spaces.errors import InputError
from nas.search_spaces.module import build
from nas.search_spaces.network import Network
from nas.search_spaces.records import Architecture


class ProxyEvaluator:
    """Trains on ``data.train``, scores on ``data.validation``; the test part is touched by ``test`` alone.

    Args:
        settings: the training schedule.
        data: the images, in memory.
        device: ``auto``, ``cpu`` or ``cuda``.
        build_module: builds the module of a genotype for spaces without stage tables.
    """

    def __init__(
        self,
        settings: ProxySettings,
        data: ImageData,
        device: str = "auto",
        build_module: Callable[[Architecture], nn.Module] | None = None,
    ) -> None:
        self.settings, self.data = settings, data
        self.device = torch.device(choose_device(device))
        self._build_module = build_module
        self._train = self._load(data.train)
        self._normalise = Normalisation.measure(self._train.pixels)

    def evaluate(self, architecture: Architecture, network: Network | None, seed: int = 0) -> dict[str, float]:
        """Train and return ``accuracy`` on the validation part."""
        module = self._trained(architecture, network, seed)
        return {"accuracy": accuracy(module, self._load(self.data.validation), self._normalise)}

    def test(self, architecture: Architecture, network: Network | None, seed: int = 0) -> dict[str, float]:
        """Train exactly as ``evaluate`` does with this seed; return ``accuracy`` and ``test_accuracy``."""
        module = self._trained(architecture, network, seed)
        return {
            "accuracy": accuracy(module, self._load(self.data.validation), self._normalise),
            "test_accuracy": accuracy(module, self._load(self.data.test), self._normalise),
        }

    def _trained(self, architecture: Architecture, network: Network | None, seed: int) -> nn.Module:
        """Build and train in a random state of its own: on a CPU the same seed gives the same weights."""
        threads = torch.get_num_threads()
        torch.set_num_threads(self.settings.threads)
        cuda = [self.device] if self.device.type == "cuda" else []
        try:
            with torch.random.fork_rng(devices=cuda):
                torch.manual_seed(seed)
                module = self._build(architecture, network).to(self.device).to(memory_format=torch.channels_last)
                generator = torch.Generator().manual_seed(seed)
                mirrored = self.data.mirrored if self.settings.flip is None else self.settings.flip
                train(module, self._train, self._normalise, self.settings, mirrored, generator)
        finally:
            torch.set_num_threads(threads)
            if cuda:  # what this trial held is for other workers of the same GPU
                torch.cuda.empty_cache()
        return module

    def _build(self, architecture: Architecture, network: Network | None) -> nn.Module:
        if network is not None:
            resolution = self.data.train.images.shape[1]
            return build(network.at(resolution=resolution, classes=len(self.data.classes)))
        if self._build_module is None:
            raise InputError("the proxy needs a space with decode or build; this one has neither")
        return self._build_module(architecture)

    def _load(self, part: Part) -> Images:
        pixels = torch.from_numpy(np.require(part.images, requirements="W"))
        labels = torch.from_numpy(np.require(part.labels, requirements="W"))
        return Images(pixels.to(self.device), labels.to(self.device))


def choose_device(device: str) -> str:
    """Resolve ``auto`` to CUDA where it is, else the CPU.

    Raises:
        InputError: if CUDA is asked for and absent.
    """
    available = torch.cuda.is_available()
    if device == "cuda" and not available:
        raise InputError("train_device: expected a CUDA device, found none; use --train-device cpu or auto")
    return ("cuda" if available else "cpu") if device == "auto" else device
