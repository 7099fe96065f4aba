"""The proxy task, which trains a network for a few epochs and returns its validation accuracy.

A proxy trains at the data's resolution, unless ``reference_resolution`` is set, with a head for the data's classes. The
network's cost is counted elsewhere, at its own deployment resolution and with its own head.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from nas.core.errors import InputError
from nas.core.records import Architecture
from nas.evaluate.contract import Diverged, Tested
from nas.evaluate.data.image_data import UNEVEN, ImageData, Part
from nas.evaluate.predictions import Predictions, pack
from nas.evaluate.proxy.images import Images, Normalisation
from nas.evaluate.proxy.loop import Training, half_micro_batch, predict
from nas.evaluate.proxy.network import proxy_network, proxy_resolution
from nas.evaluate.proxy.paused import load_checkpoint, save_checkpoint
from nas.evaluate.proxy.precision import allow_tf32, choose_precision, indexed_device, load_kernels
from nas.evaluate.proxy.settings import ProxySettings
from nas.search_spaces.module import build
from nas.search_spaces.network import Network

_TIMED_STEPS = 6  # timed steps of an estimate, after the same number of warm-up steps


class ProxyEvaluator:
    """Trains on ``data.train`` and scores on ``data.validation``; only ``test`` uses the test split.

    Args:
        settings: the training schedule.
        data: the images.
        device: ``auto``, ``cpu`` or ``cuda``.
        build_module: function that builds the module of an architecture, for spaces without stage tables.
        metric: the metric that is maximised, and returned as ``accuracy``.
    """

    def __init__(
        self,
        settings: ProxySettings,
        data: ImageData,
        device: str = "auto",
        build_module: Callable[[Architecture], nn.Module] | None = None,
        metric: str = "accuracy",
    ) -> None:
        self.settings, self.data, self.metric = settings, data, metric
        self._uneven = data.unevenness >= UNEVEN
        self.device = indexed_device(choose_device(device))
        if self.device.type == "cuda":
            allow_tf32()
            load_kernels(self.device)
        self._build_module = build_module
        self._parts: dict[str, Images] = {}
        self._train = self._images("train")
        self._normalise = Normalisation.measure(self._train)

    def evaluate(
        self,
        architecture: Architecture,
        network: Network | None,
        seed: int = 0,
        cycles: Sequence[int] = (),
        checkpoint: Path | None = None,
        pause: bool = False,
    ) -> dict[str, float]:
        """Train and return ``accuracy`` on the validation split.

        Args:
            architecture: the genotype.
            network: its stage table.
            seed: seed of the weights, of the order of images and of the augmentation.
            cycles: epochs of each cycle of the learning rate; empty: one cycle of ``settings.epochs``.
            checkpoint: path of this training's checkpoint. If no such checkpoint was saved after an earlier cycle, the
                training starts from the beginning.
            pause: whether to save a checkpoint at this path for a later cycle.
        """
        with self._own_state(seed):
            return self._survive(
                lambda settings: self._evaluated(architecture, network, seed, settings, cycles, checkpoint, pause)
            )

    def test(
        self, architecture: Architecture, network: Network | None, seed: int = 0, cycles: Sequence[int] = ()
    ) -> Tested:
        """Train exactly as ``evaluate`` does with this seed; return ``accuracy`` and ``test_accuracy``."""
        tested: list[Predictions] = []

        def work(settings: ProxySettings) -> dict[str, float]:
            training = self._trained(architecture, network, seed, settings, cycles)
            tested[:] = [self._predictions(training, "test")]
            score = tested[0].metrics()[self.metric]
            return {**self._scores(training), "test_accuracy": score}

        with self._own_state(seed):
            metrics = self._survive(work)
        return Tested(metrics, pack(tested[0].correct))

    def estimate(self, architecture: Architecture, network: Network | None, seed: int = 0) -> dict[str, float]:
        """Return the ``seconds`` that ``evaluate`` would take, estimated from a few steps; ``accuracy`` is 0."""
        settings = self.settings.model_copy(update={"epochs": 1, "cuda_graph": False})
        count = min(_TIMED_STEPS * settings.batch_size, len(self._train))
        some = Images(self._train.pixels, self._train.rows[:count], self._train.labels[:count])
        with self._own_state(seed):
            training = self._training(architecture, network, seed, settings, some)
            training.run(1)
            self._wait()
            start = time.perf_counter()
            training.run(1)
            self._wait()
            step_s = (time.perf_counter() - start) / count
            start = time.perf_counter()
            predict(training.trained(), some, self._normalise, len(self.data.classes), training.precision)
            scored = time.perf_counter() - start
        validation = len(self._images("validation"))
        return {
            "accuracy": 0.0,
            "seconds": step_s * len(self._train) * self.settings.epochs + scored / count * validation,
        }

    def _survive(self, work: Callable[[ProxySettings], dict[str, float]]) -> dict[str, float]:
        """Do the work, with at most one retry for each of two faults.

        After divergence in a lower precision, the retry is in float32; after running out of memory, it is with half
        the images at once.
        """
        settings, notes = self.settings, dict[str, float]()
        while True:
            try:
                return {**work(settings), **notes}
            except Diverged:
                if notes.get("retried_fp32") or choose_precision(settings, self.device) is None:
                    raise
                settings, notes = settings.model_copy(update={"precision": "fp32"}), {**notes, "retried_fp32": 1}
            except torch.OutOfMemoryError:
                if notes.get("retried_half_batch"):
                    raise
                settings, notes = half_micro_batch(settings), {**notes, "retried_half_batch": 1}
            gc.collect()  # free the memory of the failed try before the next try
            if self.device.type == "cuda":
                torch.cuda.empty_cache()

    @contextmanager
    def _own_state(self, seed: int) -> Iterator[None]:
        """Set the seed and the threads inside the context, and restore the previous state afterwards.

        On a CPU, the same seed gives the same weights.
        """
        threads = torch.get_num_threads()
        torch.set_num_threads(self.settings.threads)
        cuda = [self.device] if self.device.type == "cuda" else []
        try:
            with torch.random.fork_rng(devices=cuda):
                torch.manual_seed(seed)
                yield
        finally:
            torch.set_num_threads(threads)
            if cuda:  # free this trial's memory for other workers of the same GPU
                gc.collect()
                torch.cuda.empty_cache()

    def _trained(
        self,
        architecture: Architecture,
        network: Network | None,
        seed: int,
        settings: ProxySettings,
        cycles: Sequence[int] = (),
        state: dict[str, Any] | None = None,
    ) -> Training:
        """Build and train a network; continue from the state of a paused training if one is given."""
        torch.manual_seed(seed)
        training = self._training(architecture, network, seed, settings, self._train)
        cycles = tuple(cycles) or (settings.epochs,)
        if state is not None:
            training.load_state_dict(state)
        for epochs in cycles[len(training.cycles) :]:
            training.run(epochs)
        return training

    def _evaluated(
        self,
        architecture: Architecture,
        network: Network | None,
        seed: int,
        settings: ProxySettings,
        cycles: Sequence[int],
        checkpoint: Path | None,
        pause: bool,
    ) -> dict[str, float]:
        """Train and return the scores.

        The training continues from the checkpoint if it belongs to this training. With ``pause``, it saves a new one.
        """
        whose = f"{architecture.genes} {seed} {self.settings} {self.data.describe()}"
        state = None if checkpoint is None else load_checkpoint(checkpoint, self.device)
        if state is not None and (
            state.get("whose") != whose or state["cycles"] != list(cycles)[: len(state["cycles"])]
        ):
            state = None  # of an earlier run in the same folder, or of another network with the same number
        training = self._trained(architecture, network, seed, settings, cycles, state)
        scores = self._scores(training)
        if checkpoint is not None and pause:
            save_checkpoint(checkpoint, {**training.state_dict(), "whose": whose})
        return scores

    def _training(
        self, architecture: Architecture, network: Network | None, seed: int, settings: ProxySettings, images: Images
    ) -> Training:
        module = self._build(architecture, network).to(self.device).to(memory_format=torch.channels_last)
        if network is None:
            settings = settings.model_copy(update={"cuda_graph": False})
        generator = torch.Generator().manual_seed(seed)
        mirrored = self.data.mirrored if settings.flip is None else settings.flip
        return Training(module, images, self._normalise, settings, mirrored, generator)

    def _build(self, architecture: Architecture, network: Network | None) -> nn.Module:
        if network is not None:
            side = self.data.train.resolution
            resolution = proxy_resolution(network, self.settings, side)
            module = build(proxy_network(network, self.settings, side, len(self.data.classes)))
            return module if resolution == side else nn.Sequential(Resize(resolution), module)
        if self._build_module is None:
            raise InputError("the proxy needs a space with decode or build; this one has neither")
        return self._build_module(architecture)

    def _scores(self, training: Training) -> dict[str, float]:
        """Return the scores on the validation split; ``accuracy`` is the metric that is maximised."""
        found = self._predictions(training, "validation").metrics()
        if self.metric == "accuracy":
            return {"accuracy": found["accuracy"]} | ({} if not self._uneven else _others(found))
        return {"accuracy": found[self.metric], "plain_accuracy": found["accuracy"]}

    def _predictions(self, training: Training, part: str) -> Predictions:
        module, precision = training.trained(), training.precision
        return predict(module, self._images(part), self._normalise, len(self.data.classes), precision)

    def _images(self, name: str) -> Images:
        """Return a split of the data; the first call loads it onto the device."""
        if name not in self._parts:
            part: Part = getattr(self.data, name)
            self._parts[name] = Images.load(part, self.device)
        return self._parts[name]

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def _others(metrics: dict[str, float]) -> dict[str, float]:
    return {name: metrics[name] for name in ("balanced_accuracy", "macro_f1")}


class Resize(nn.Module):
    """Scales images ``(batch, 3, h, w)`` to a side in pixels, bilinearly and without aliasing."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Scale a batch."""
        return functional.interpolate(images, size=(self.side, self.side), mode="bilinear", antialias=True)


def choose_device(device: str) -> str:
    """Return the device; ``auto`` is CUDA if it is available, else the CPU.

    Raises:
        InputError: if CUDA is requested but not available.
    """
    available = torch.cuda.is_available()
    if device == "cuda" and not available:
        raise InputError("train_device: expected a CUDA device, found none; use --train-device cpu or auto")
    return ("cuda" if available else "cpu") if device == "auto" else device


def share_gpu(device: str, share: float) -> None:
    """Limit this process to its share of the GPU's memory, so that no trial uses the memory of other workers."""
    if 0 < share < 1 and choose_device(device) == "cuda":
        torch.cuda.set_per_process_memory_fraction(share)
