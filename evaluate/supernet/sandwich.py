"""One training step of a supernet: the sandwich rule with in-place distillation.

Each step trains the largest network on the labels, and the smallest and some random ones on the largest's outputs too
(universally slimmable networks, arXiv 1903.05134, sections 3.2 and 3.3; BigNAS, arXiv 2003.11142, section 3.1). These
papers train them on its outputs alone; in short trainings, the labels help (docs/supernet.md). Dropout and drop-connect
act on the largest alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional

from nas.core.records import Architecture
from nas.evaluate.proxy.precision import autocast
from nas.evaluate.proxy.step import EagerStep


class SandwichStep(EagerStep):
    """A step whose module is a supernet; one network's maps are in memory at a time. Its loss is the largest's.

    Attributes:
        architectures: the networks of the next step, the largest first.
        teacher_weight: weight of the largest's outputs in the loss of the others; the rest is that of the labels.
    """

    architectures: Sequence[Architecture] = ()
    teacher_weight = 0.5

    def _add_gradients(self, images: Tensor, target: Tensor, share: float, weight: float) -> Tensor:
        largest, *others = self.architectures
        with autocast(images.device, self.precision):
            logits = self.module(images, largest)
            loss = self._loss_of(logits, target) * share
        self._backward(loss, weight)
        soft = logits.detach().float().softmax(1)
        for architecture in others:
            with autocast(images.device, self.precision):
                own = self.module(images, architecture, regularised=False)
                distilled = functional.cross_entropy(own.float(), soft)
                both = self.teacher_weight * distilled + (1 - self.teacher_weight) * self._loss_of(own, target)
            self._backward(both * share, weight)
        return loss.detach()
