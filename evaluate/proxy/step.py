"""One training step (forward, loss, backward, update), run eagerly or replayed from a CUDA graph."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from nas.evaluate.proxy.distillation import Distillation, Teacher
from nas.evaluate.proxy.precision import autocast

_log = logging.getLogger(__name__)
WARM_UP_STEPS = 3  # steps of each batch size before its graph is captured; libraries allocate and choose kernels then


class StepSettings(Protocol):
    """The training settings that a step reads."""

    @property
    def label_smoothing(self) -> float:
        """Probability mass that is spread over all classes."""
        ...

    @property
    def micro_batch(self) -> int | None:
        """Largest number of images processed at once; ``None`` for the whole batch."""
        ...


class EagerStep:
    """A step that runs eagerly.

    Args:
        module: module on the images' device; it may average gradients over processes.
        optimizer: optimizer of the module's parameters.
        settings: label smoothing and the micro-batch.
        classes: number of classes; the module may return more logits.
        precision: the autocast type, ``None`` for float32.
        weights: weight of each class in the loss, ``(classes,)``, on the device; ``None``: all the same.
        most_norm: largest norm of all gradients together; larger ones are scaled down to it. ``None``: no limit.
        teacher: a network from whose outputs the module learns too; ``None``: it learns from the labels alone.
        distillation: how much of the loss is the teacher's.

    Attributes:
        micro_batch: largest number of images processed at once; ``None`` for the whole batch.
        scaler: scaler of the loss if the precision is float16, else ``None``.
    """

    def __init__(
        self,
        module: nn.Module,
        optimizer: torch.optim.Optimizer,
        settings: StepSettings,
        classes: int,
        precision: torch.dtype | None,
        weights: Tensor | None = None,
        most_norm: float | None = None,
        teacher: Teacher | None = None,
        distillation: Distillation = Distillation(),  # noqa: B008 (frozen)
    ) -> None:
        self.module, self.optimizer, self.precision = module, optimizer, precision
        self._classes, self._most_norm = classes, most_norm
        self.micro_batch = settings.micro_batch
        self._weights = weights
        self._teacher, self.distillation = teacher, distillation
        self._loss = nn.CrossEntropyLoss(label_smoothing=settings.label_smoothing)
        self.scaler = torch.amp.GradScaler("cuda") if precision == torch.float16 else None

    def __call__(self, images: Tensor, labels: Tensor, weight: float = 1.0) -> Tensor:
        """Train on a batch.

        Args:
            images: ``(n, 3, h, w)``.
            labels: ``(n,)``, or probabilities ``(n, classes)``.
            weight: factor of the gradients; if processes share a batch, the size of this process's part divided by the
                mean size of a part.

        Returns:
            The mean loss, on the device.
        """
        loss = self.gradients(images, labels, weight)
        self.update()
        return loss

    def update(self) -> None:
        """Update the parameters from their gradients."""
        if self._most_norm is not None:
            if self.scaler is not None:
                self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.module.parameters(), self._most_norm)
        if self.scaler is None:
            self.optimizer.step()
        else:
            self.scaler.step(self.optimizer)
            self.scaler.update()

    def gradients(self, images: Tensor, labels: Tensor, weight: float = 1.0) -> Tensor:
        """Replace the gradients by the sum over the micro-batches; return the batch's mean loss."""
        self.optimizer.zero_grad(set_to_none=True)
        total = torch.zeros((), device=images.device)
        parts = list(self._micro_batches(images, labels))
        for place, (part, target) in enumerate(parts, start=1):
            alone = getattr(self.module, "no_sync", nullcontext) if place < len(parts) else nullcontext
            with alone():  # processes exchange gradients once per batch
                total += self._add_gradients(part, target, len(part) / len(images), weight)
        return total

    def _add_gradients(self, images: Tensor, target: Tensor, share: float, weight: float) -> Tensor:
        """Add the gradients of a micro-batch with ``share`` of the batch's images; return its part of the loss."""
        with autocast(images.device, self.precision):
            loss = self._taught(images, self.module(images), target) * share
        self._backward(loss, weight)
        return loss.detach()

    def _taught(self, images: Tensor, logits: Tensor, target: Tensor) -> Tensor:
        """Return the loss against the labels, and against the outputs of the teacher if there is one."""
        loss = self._loss_of(logits, target)
        if self._teacher is None:
            return loss
        with torch.no_grad():
            taught = self._teacher(images)
        return self.distillation.loss(loss, logits, taught)

    def _backward(self, loss: Tensor, weight: float) -> None:
        scaled = loss * weight if weight != 1.0 else loss
        torch.autograd.backward(scaled if self.scaler is None else self.scaler.scale(scaled))

    def _loss_of(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the loss of logits against class indices or probabilities.

        The shape is checked first, because too few logits would make a GPU unusable for this process.

        Raises:
            ValueError: if there are fewer logits than classes.
        """
        if logits.ndim != 2 or logits.shape[1] < self._classes:
            raise ValueError(f"expected logits of shape (batch, {self._classes}) or wider, got {tuple(logits.shape)}")
        if target.ndim == 2:
            target = functional.pad(target, (0, logits.shape[1] - target.shape[1]))
        if self._weights is None:
            loss: Tensor = self._loss(logits, target)
            return loss
        shares = functional.one_hot(target, self._classes).float() if target.ndim == 1 else target[:, : self._classes]
        each = shares @ self._weights
        alone = functional.cross_entropy(logits, target, reduction="none", label_smoothing=self._loss.label_smoothing)
        return (alone * each).mean()

    def _micro_batches(self, images: Tensor, labels: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        if self.micro_batch is None or len(images) <= self.micro_batch:
            yield images, labels
            return
        parts = math.ceil(len(images) / self.micro_batch)  # nearly equal sizes, as BatchNorm cannot train on one image
        yield from zip(images.tensor_split(parts), labels.tensor_split(parts), strict=True)


def class_weights(labels: NDArray[np.int64], classes: int) -> Tensor:
    """Return a weight for each class, ``(classes,)``: the inverse of its number of images, with mean 1 over images.

    A class without images has weight 0.
    """
    counts = np.bincount(labels, minlength=classes)
    known = counts > 0
    weights = np.zeros(classes, dtype=np.float32)
    weights[known] = len(labels) / (known.sum() * counts[known])
    return torch.from_numpy(weights)


class CaptureFailed(RuntimeError):
    """A CUDA graph was not captured; nothing more can be trained on the GPU in this process."""


class GraphedStep:
    """A step that a GPU replays as a whole from a CUDA graph, with one graph for each batch size.

    The first steps of each size run eagerly on a side stream; they are normal training steps. The next step is captured
    and replayed from fixed buffers. A failed capture leaves the GPU's random number generator unusable for the whole
    process. So it is reported as a device fault, and the worker is replaced.

    Args:
        step: the step to capture; its optimizer has to be capturable.
    """

    def __init__(self, step: EagerStep) -> None:
        self._step = step
        self._seen: dict[tuple[torch.Size, torch.Size], int] = {}
        self._graphs: dict[tuple[torch.Size, torch.Size], tuple[torch.cuda.CUDAGraph, Tensor, Tensor, Tensor]] = {}
        self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]

    def __call__(self, images: Tensor, labels: Tensor) -> Tensor:
        """Train on a batch, as ``EagerStep``."""
        size = images.shape, labels.shape
        if size not in self._graphs:
            self._seen[size] = self._seen.get(size, 0) + 1
            if self._seen[size] <= WARM_UP_STEPS:
                return self._aside(images, labels)
            try:
                self._graphs[size] = self._capture(images, labels)
            except RuntimeError as error:
                raise CaptureFailed(
                    f"CUDA error: a step could not be captured ({str(error).splitlines()[0]}); "
                    "--set evaluator.cuda_graph=false trains without graphs"
                ) from error
        graph, fixed_images, fixed_labels, loss = self._graphs[size]
        fixed_images.copy_(images)
        fixed_labels.copy_(labels)
        graph.replay()
        return loss

    def _aside(self, images: Tensor, labels: Tensor) -> Tensor:
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            loss = self._step(images, labels)
        torch.cuda.current_stream().wait_stream(self._stream)
        return loss

    def _capture(self, images: Tensor, labels: Tensor) -> tuple[torch.cuda.CUDAGraph, Tensor, Tensor, Tensor]:
        fixed_images, fixed_labels = images.clone(), labels.clone()
        self._step.optimizer.zero_grad(set_to_none=True)  # the graph's own memory holds its gradients
        graph = torch.cuda.CUDAGraph()
        pool = next(iter(self._graphs.values()))[0].pool() if self._graphs else None
        with torch.cuda.graph(graph, pool=pool, stream=self._stream):
            loss = self._step(fixed_images, fixed_labels)
        return graph, fixed_images, fixed_labels, loss
