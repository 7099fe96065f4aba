"""Predicted speed of networks on the skeleton, on the six accelerators of Accel-NASBench."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.core.errors import InputError, nearest_name
from nas.evaluate.imagenet.measured_table import LATENCIES, THROUGHPUTS
from nas.evaluate.imagenet.prediction import Surrogate, shipped_surrogate
from nas.evaluate.imagenet.skeleton import covers, skeleton_genes
from nas.search_spaces.space import SearchSpace

TITLES = {
    "a100": "NVIDIA A100",
    "3090": "NVIDIA RTX 3090",
    "tpuv2": "Google TPUv2",
    "tpuv3": "Google TPUv3",
    "zcu102": "Xilinx ZCU102",
    "vck190": "Xilinx VCK190",
}
_ALIASES = {"rtx3090": "3090"}


class SurrogateDevice:
    """A device model of the shipped surrogate.

    Args:
        name: ``a100``, ``3090``, ``tpuv2``, ``tpuv3``, ``zcu102`` or ``vck190``.
        space: space of the genotypes.

    Raises:
        InputError: if there is no such device, or the surrogate does not cover the space.
    """

    def __init__(self, name: str, space: SearchSpace, surrogate: Surrogate | None = None) -> None:
        self.name = _ALIASES.get(name, name)
        if self.name not in THROUGHPUTS:
            raise InputError(
                f"--device: expected a device of the surrogate or a latency table's FILE.json, got '{name}'"
                f"{nearest_name(name, THROUGHPUTS)}"
            )
        if reason := covers(space):
            raise InputError(
                f"--device {self.name}: was measured with networks on EfficientNet-B0's skeleton only, and space "
                f"'{space.name}' differs from it: {reason}. For your own machine and any space, use nas latency build"
            )
        self.metrics: tuple[str, ...] = ("throughput", "latency_ms") if self.name in LATENCIES else ("throughput",)
        self._space, self._surrogate = space, surrogate or shipped_surrogate()
        errors = self._surrogate.about["devices"]
        parts = [f"{metric} {errors[self._column(metric)]:.1%}" for metric in self.metrics]
        self.note = f"{TITLES[self.name]}, predicted from Accel-NASBench's measurements; mean error {', '.join(parts)}"

    def costs(self, genes: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        """Return ``throughput`` in images a second and, for FPGAs, ``latency_ms``, each ``(n,)``."""
        columns = self._surrogate.device(skeleton_genes(self._space, genes))
        return {metric: columns[self._column(metric)].astype(np.float64) for metric in self.metrics}

    def _column(self, metric: str) -> str:
        return f"{self.name}_{metric.removesuffix('_ms')}"
