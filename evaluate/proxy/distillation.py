"""Knowledge distillation: the loss of a network that learns from another's outputs (arXiv 1503.02531)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

Teacher = Callable[[Tensor], Tensor]
"""Returns logits ``(n, classes)`` for images ``(n, 3, h, w)``."""


@dataclass(frozen=True, slots=True)
class Distillation:
    """How much of the loss is a teacher's.

    Attributes:
        weight: weight of the teacher's outputs in the loss; the rest is that of the labels.
        temperature: divides the logits of both networks; above 1, improbable classes count more.
    """

    weight: float = 0.5
    temperature: float = 1.0

    def loss(self, of_labels: Tensor, logits: Tensor, taught: Tensor) -> Tensor:
        """Return the loss of a network.

        The teacher's part is the cross-entropy against its softened outputs, times the temperature squared, which
        keeps the size of the gradients (section 2 of the paper).

        Args:
            of_labels: the loss of the labels, a scalar.
            logits: the network's logits, ``(n, classes)``.
            taught: the teacher's logits, ``(n, classes)``, without gradients.
        """
        soft = (taught.float() / self.temperature).softmax(1)
        own = functional.cross_entropy(logits.float() / self.temperature, soft) * self.temperature**2
        return self.weight * own + (1 - self.weight) * of_labels
