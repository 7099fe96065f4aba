"""One training step of a supernet: the sandwich rule with in-place distillation.

Each step trains the largest network on the labels, and the smallest and some random ones on the largest's outputs too
(universally slimmable networks, arXiv 1903.05134, sections 3.2 and 3.3; BigNAS, arXiv 2003.11142, section 3.1). These
papers train them on its outputs alone; in short trainings, the labels help (docs/supernet.md). Dropout and drop-connect
act on the largest alone. A teacher, if there is one, teaches the largest.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from nas.core.records import Architecture
from nas.evaluate.proxy.precision import autocast
from nas.evaluate.proxy.step import EagerStep


class SandwichStep(EagerStep):
    """A step whose module is a supernet; one network's maps are in memory at a time. Its loss is the largest's.

    Attributes:
        architectures: the networks of the next step, the largest first.
    """

    architectures: Sequence[Architecture] = ()

    def _add_gradients(self, images: Tensor, target: Tensor, share: float, weight: float) -> Tensor:
        largest, *others = self.architectures
        with autocast(images.device, self.precision):
            logits = self.module(images, largest)
            loss = self._taught(images, logits, target) * share
        self._backward(loss, weight)
        taught = logits.detach()
        for architecture in others:
            with autocast(images.device, self.precision):
                own = self.module(images, architecture, regularised=False)
                both = self.distillation.loss(self._loss_of(own, target), own, taught) * share
            self._backward(both, weight)
        return loss.detach()
