"""One training step of a supernet: the sandwich rule with in-place distillation.

Each step trains the largest network on the labels, and the smallest and some random ones on the largest's outputs
(universally slimmable networks, arXiv 1903.05134, sections 3.2 and 3.3; BigNAS, arXiv 2003.11142, section 3.1). Dropout
and drop-connect act on the largest alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from nas.core.records import Architecture
from nas.evaluate.supernet.supernet import Supernet

Loss = Callable[[Tensor, Tensor], Tensor]


def sandwich_gradients(
    supernet: Supernet,
    images: Tensor,
    labels: Tensor,
    architectures: Sequence[Architecture],
    loss: Loss = functional.cross_entropy,
) -> list[Tensor]:
    """Add the gradients of one step, and return each network's loss; one network's maps are in memory at a time.

    Args:
        supernet: the supernet, in training mode.
        images: images ``(batch, 3, h, w)``.
        labels: what ``loss`` takes for the largest network.
        architectures: the networks of the step, the largest first.
        loss: the largest network's loss from logits and labels.
    """
    largest, *others = architectures
    logits = supernet(images, largest)
    value = loss(logits, labels)
    value.backward()  # type: ignore[no-untyped-call]
    losses = [value.detach()]
    soft = torch.softmax(logits.detach().float(), 1)
    for architecture in others:
        value = functional.cross_entropy(supernet(images, architecture, regularised=False), soft)
        value.backward()  # type: ignore[no-untyped-call]
        losses.append(value.detach())
    return losses
