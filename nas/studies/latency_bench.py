"""Comparison of network latencies with each other and with the paper's (EfficientNet, arXiv 1905.11946, Table 4)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nas.core.callback import SILENT, Callback
from nas.core.errors import InputError, nearest_name
from nas.evaluate.cost.latency.timing import EVERY_BACKEND, fixed_threads, interleaved_medians, runner
from nas.search_spaces.module import build
from nas.search_spaces.network import Network

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Latencies:
    """The latency of each network with one backend.

    Attributes:
        backend: name of the backend.
        latency_ms: median latency of one batch in ms, in the order of the networks; empty if the backend failed.
        error: the reason of the failure; ``None`` if the backend did not fail.
    """

    backend: str
    latency_ms: tuple[float, ...]
    error: str | None = None

    def ratios(self) -> tuple[float, ...]:
        """Return each network's latency divided by that of the last network."""
        return tuple(value / self.latency_ms[-1] for value in self.latency_ms) if self.latency_ms else ()


def bench(
    networks: Sequence[Network],
    backends: Sequence[str] = EVERY_BACKEND,
    device: str = "cpu",
    threads: int = 1,
    batch: int = 1,
    rounds: int = 15,
    callback: Callback = SILENT,
) -> list[Latencies]:
    """Measure networks in turns, one backend after the other.

    Args:
        networks: the networks, which run at their own resolutions.
        backends: names from ``EVERY_BACKEND``. If a backend cannot run here, its result holds the error, and the others
            are still measured.
        device: ``cpu`` or ``cuda``.
        threads: number of CPU threads.
        batch: batch size.
        rounds: number of rounds over all networks, of which the median is taken.
        callback: receives a message before each backend is measured.

    Raises:
        InputError: if a backend is unknown, or the device is not available.
    """
    for backend in backends:
        if backend not in EVERY_BACKEND:
            raise InputError(f"--backends: no backend is named '{backend}'{nearest_name(backend, EVERY_BACKEND)}")
    results = []
    for backend in backends:
        callback.message(f"{backend} ...")
        results.append(_measured(networks, backend, device, threads, batch, rounds))
    return results


def as_rows(networks: Sequence[Network], results: Sequence[Latencies]) -> list[dict[str, Any]]:
    """Return one row for each network and backend."""
    return [
        {
            "name": network.name,
            "backend": found.backend,
            "resolution": network.resolution,
            "latency_ms": None if found.error else found.latency_ms[place],
            "ratio": None if found.error else found.ratios()[place],
            "error": found.error,
        }
        for found in results
        for place, network in enumerate(networks)
    ]


def _measured(
    networks: Sequence[Network], backend: str, device: str, threads: int, batch: int, rounds: int
) -> Latencies:
    try:
        with fixed_threads(threads):
            calls = [
                runner(build(network), (batch, 3, network.resolution, network.resolution), device, backend, threads)
                for network in networks
            ]
            return Latencies(backend, tuple(interleaved_medians(calls, rounds).tolist()))
    except InputError as error:
        if str(error).startswith("--device"):
            raise
        return Latencies(backend, (), str(error))
    except Exception as error:  # such as a missing compiler or too little memory; the other backends still run
        _log.info("%s: %s", backend, error)
        return Latencies(backend, (), f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}")
