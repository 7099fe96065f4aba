"""The protocol of device models, which predict the speed of a network before it is trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Column = NDArray[np.floating[Any]]


class DeviceModel(Protocol):
    """Predicts ``latency_ms``, ``throughput`` (images a second) or both for genotypes of one space.

    Attributes:
        name: name of the device, as the user types it.
        metrics: names of the predicted metrics.
        note: source of the predictions and, if it was measured, their error.
    """

    name: str
    metrics: tuple[str, ...]
    note: str

    def costs(self, genes: NDArray[np.int64]) -> Mapping[str, Column]:
        """Return each metric as an array ``(n,)`` for genotypes ``(n, genes)``.

        Raises:
            InputError: if the model does not cover a network.
        """
        ...
