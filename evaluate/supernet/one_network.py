"""One network of a supernet as a module of its own, without a copy of its weights."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from nas.core.records import Architecture
from nas.evaluate.supernet.supernet import Supernet


class OneNetwork(nn.Module):
    """Maps images ``(batch, 3, h, w)`` to the logits of one network.

    Args:
        supernet: the shared weights.
        architecture: the network's genotype.
        statistics: its own BatchNorm statistics, from ``Supernet.calibrate``.
    """

    def __init__(self, supernet: Supernet, architecture: Architecture, statistics: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.supernet, self.architecture, self.statistics = supernet, architecture, statistics

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits ``(batch, classes)``."""
        logits: Tensor = self.supernet(images, self.architecture, self.statistics)
        return logits
