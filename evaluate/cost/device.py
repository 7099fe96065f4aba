"""The contract of models of hardware: speed predicted before anything is trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Column = NDArray[np.floating[Any]]


class DeviceModel(Protocol):
    """Predicts ``latency_ms``, ``throughput`` (images a second) or both for genotypes of one space.

    Attributes:
        name: of the device, as people type it.
        metrics: what it predicts.
        note: what predictions are made of and how far off they were where that was measured.
    """

    name: str
    metrics: tuple[str, ...]
    note: str

    def costs(self, genes: NDArray[np.int64]) -> Mapping[str, Column]:
        """Return each metric as an array ``(n,)`` for genotypes ``(n, tokens)``.

        Raises:
            InputError: if the model does not cover a network.
        """
        ...
