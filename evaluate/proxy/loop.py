"""The proxy's training loop: preloaded uint8 images, augmentation of whole batches, channels_last, cosine cycles."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from nas.evaluate.contract import Diverged
from nas.evaluate.predictions import Predictions
from nas.evaluate.proxy.augmentation import augment, mix, rand_augment
from nas.evaluate.proxy.images import Images, Normalisation
from nas.evaluate.proxy.optimizers import (
    make_optimizer,
    moving_average,
    schedule,
    set_batch_norm_momentum,
    set_learning_rate,
)
from nas.evaluate.proxy.precision import autocast, choose_precision
from nas.evaluate.proxy.settings import ProxySettings
from nas.evaluate.proxy.small_maps import use_small_maps
from nas.evaluate.proxy.step import EagerStep, GraphedStep, class_weights

_SCORED_AT_ONCE = 256
_CHECK_EVERY = 10  # steps between two checks of the loss; each check waits for the device


class Training:
    """A training of a network, which can be paused after any cycle and resumed in another process.

    A cycle is a number of epochs over which the learning rate rises and then falls to 0, so that the accuracy at its
    end is that of a finished training. Plain training is one cycle.

    Args:
        module: module that maps ``(n, 3, h, w)`` to logits; on the images' device, in channels_last.
        images: the training split.
        normalise: pixel statistics.
        settings: batch size, optimizer, augmentation and precision.
        mirrored: whether images may be mirrored.
        generator: a CPU generator for the order of images and for the augmentation.

    Attributes:
        cycles: epochs of each finished cycle.
    """

    def __init__(
        self,
        module: nn.Module,
        images: Images,
        normalise: Normalisation,
        settings: ProxySettings,
        mirrored: bool,
        generator: torch.Generator,
    ) -> None:
        self.module, self.images, self.normalise, self.settings = module, images, normalise, settings
        self.mirrored, self.generator = mirrored, generator
        self.cycles: list[int] = []
        self.device = images.labels.device
        self.precision = choose_precision(settings, self.device)
        if self.device.type == "cpu":
            use_small_maps(module)
        set_batch_norm_momentum(module, settings.batch_norm_momentum)
        graphed = self.device.type == "cuda" and settings.cuda_graph and self.precision != torch.float16
        self.optimizer = make_optimizer(module, settings, capturable=graphed)
        self.average = None if settings.ema is None else moving_average(module, settings.ema)
        self._classes = int(images.labels.max()) + 1
        weights = (
            class_weights(images.labels.cpu().numpy(), self._classes).to(self.device)
            if settings.class_weights
            else None
        )
        step = EagerStep(module, self.optimizer, settings, self._classes, self.precision, weights)
        self._step: EagerStep | GraphedStep = GraphedStep(step) if graphed else step

    def run(self, epochs: int) -> None:
        """Train for one cycle.

        Raises:
            Diverged: when the loss is no longer finite.
        """
        batches = math.ceil(len(self.images) / self.settings.batch_size)
        rate = self.settings.learning_rate * len(self.images) / (batches * self.settings.batch_size)
        steps = epochs * batches
        self.module.train()
        for step, places in enumerate(self._batches(epochs, batches)):
            set_learning_rate(self.optimizer, rate * schedule(step, steps, self.settings.warmup))
            loss = self._step(*self._batch(places))
            if self.average is not None:
                self.average.update_parameters(self.module)
            if (step % _CHECK_EVERY == 0 or step == steps - 1) and not math.isfinite(value := loss.item()):
                raise Diverged(f"loss is {value} in epoch {step // batches + 1} of {epochs}")
        self.cycles.append(epochs)

    def trained(self) -> nn.Module:
        """Return the module to score: with the moving average of the weights if there is one, else with the weights."""
        return self.module if self.average is None else self.average.module

    def state_dict(self) -> dict[str, Any]:
        """Return the complete state of the training, as tensors and plain values only."""
        cuda = torch.cuda.get_rng_state(self.device) if self.device.type == "cuda" else None
        return {
            "cycles": list(self.cycles),
            "module": self.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "generator": self.generator.get_state(),
            "random": torch.get_rng_state(),
            "cuda_random": cuda,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state that ``state_dict`` returned."""
        self.cycles = list(state["cycles"])
        rates = [group["lr"] for group in self.optimizer.param_groups]
        self.module.load_state_dict(state["module"])
        self.optimizer.load_state_dict(state["optimizer"])
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate  # keep the tensor that a CUDA graph reads; it is set at every step
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.generator.set_state(state["generator"].cpu())
        torch.set_rng_state(state["random"].cpu())
        if state["cuda_random"] is not None:
            torch.cuda.set_rng_state(state["cuda_random"].cpu(), self.device)

    def _batches(self, epochs: int, batches: int) -> Iterator[Tensor]:
        """Yield indices of images: each epoch is a new order, split into ``batches`` batches of nearly equal size."""
        for _ in range(epochs):
            yield from torch.randperm(len(self.images), generator=self.generator).tensor_split(batches)

    def _batch(self, places: Tensor) -> tuple[Tensor, Tensor]:
        """Return augmented, normalised images and their labels."""
        pixels, labels = self.images.batch(places)
        pixels = augment(pixels, self.settings.crop_padding, self.mirrored, self.generator)
        if self.settings.rand_augment is not None:
            pixels = rand_augment(pixels, self.settings.rand_augment)
        return mix(self.normalise(pixels), labels, self._classes, self.settings, self.generator)


@torch.inference_mode()
def predict(
    module: nn.Module,
    images: Images,
    normalise: Normalisation,
    classes: int,
    precision: torch.dtype | None = None,
    shape: Callable[[Tensor], Tensor] = lambda pixels: pixels,
) -> Predictions:
    """Return the predictions of a module, which is in ``eval`` mode afterwards.

    Args:
        module: the network; of more logits than ``classes``, the first are used.
        images: the images.
        normalise: normalisation of the images, as in training.
        classes: number of classes.
        precision: autocast's type; ``None`` for float32.
        shape: crops pixels ``(n, h, w, 3)`` uint8 to the network's input.

    Raises:
        Diverged: if a logit is not finite.
    """
    module.eval()
    device = images.labels.device
    found: list[tuple[Tensor, ...]] = []
    finite = torch.ones((), dtype=torch.bool, device=device)
    for places in torch.split(torch.arange(len(images)), _SCORED_AT_ONCE):
        pixels, labels = images.batch(places)
        with autocast(device, precision):
            logits = module(normalise(shape(pixels)))[:, :classes].float()
        finite &= torch.isfinite(logits).all()
        best = logits.argmax(1)
        shares = logits.softmax(1).gather(1, best[:, None])[:, 0]
        in_top5 = (logits.topk(min(5, classes), 1).indices == labels[:, None]).any(1)
        found.append((labels, best, shares, in_top5))
    if not finite:
        raise Diverged("a logit is not finite after training")
    columns = [torch.cat(column).cpu().numpy() for column in zip(*found, strict=True)]
    return Predictions(columns[0], columns[1], columns[2], columns[3], classes)


def half_micro_batch(settings: ProxySettings) -> ProxySettings:
    """Return the settings with half the micro-batch; batches stay the same, but need less memory."""
    whole = settings.micro_batch or settings.batch_size
    return settings.model_copy(update={"micro_batch": max(1, whole // 2)})
