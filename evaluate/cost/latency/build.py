"""Measurement of a space's operators on this machine, and validation of their sums on whole networks."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np
import torch
from torch import nn

from nas.core.cores import processor
from nas.core.errors import InputError
from nas.core.records import Architecture
from nas.core.statistics import agreement
from nas.evaluate.cost.latency.operators import (
    HeadOperator,
    Operator,
    StemOperator,
    input_shape,
    operator_name,
    operators_in,
)
from nas.evaluate.cost.latency.table import CheckedNetwork, LatencyTable, Validation, sum_ms
from nas.evaluate.cost.latency.timing import BACKENDS, ONNXRUNTIME, Call, fixed_threads, interleaved_medians, runner
from nas.search_spaces import space as spaces
from nas.search_spaces.blocks import Block, Norm
from nas.search_spaces.module import NetworkModule, build
from nas.search_spaces.network import Network
from nas.search_spaces.parts import Head, Stage, Stem
from nas.search_spaces.space import SearchSpace

Tell = Callable[[str], None]
_LEAST_VALIDATION = 20
_DEVICES = ("cpu", "cuda")


@dataclass(frozen=True, slots=True)
class BuildSettings:
    """Settings of the measurement of a latency table.

    Attributes:
        device: ``cpu`` or ``cuda``.
        backend: ``eager`` or ``onnxruntime``.
        threads: number of CPU threads.
        batch: images per batch.
        rounds: passes over all operators; the median over the passes is used.
        calibration: number of whole networks to which the line from sums to latencies is fitted.
        validation: number of further whole networks on which the predictions are checked.
        seed: seed of the drawn networks.
    """

    device: str = "cpu"
    backend: str = "eager"
    threads: int = 1
    batch: int = 1
    rounds: int = 15
    calibration: int = 12
    validation: int = _LEAST_VALIDATION
    seed: int = 0

    def __post_init__(self) -> None:
        for name, known in (("device", _DEVICES), ("backend", BACKENDS)):
            if getattr(self, name) not in known:
                raise InputError(f"{name}: expected {' or '.join(known)}, got '{getattr(self, name)}'")
        for name, least in (("threads", 1), ("batch", 1), ("rounds", 3), ("calibration", 3)):
            if getattr(self, name) < least:
                raise InputError(f"--{name}: expected at least {least}, got {getattr(self, name)}")
        if self.validation < _LEAST_VALIDATION:
            raise InputError(f"--validation: expected at least {_LEAST_VALIDATION} networks, got {self.validation}")


def build_table(space: SearchSpace, settings: BuildSettings, tell: Tell = lambda _: None) -> LatencyTable:
    """Measure a space's operators and check the predictions on networks that were not used to fit them.

    Raises:
        InputError: if the space has no stage tables, or the device or the backend is not available.
    """
    start = time.perf_counter()
    operators = operators_in(space)
    tell(f"{len(operators)} operators of space '{space.name}', {settings.rounds} rounds")
    drawn = _draw(space, settings.calibration + settings.validation, settings.seed)
    with fixed_threads(settings.threads):
        calls = [_runner(_module(operator), input_shape(operator, settings.batch), settings) for operator in operators]
        times = interleaved_medians(calls, settings.rounds)
        del calls
        operators_ms = dict(zip(map(operator_name, operators), times.tolist(), strict=True))
        tell(f"{len(drawn)} whole networks")
        networks = [space.decode(architecture) for architecture in drawn]  # type: ignore[attr-defined]
        measured = interleaved_medians([_network_runner(network, settings) for network in networks], settings.rounds)
    sums = np.array([sum_ms(operators_ms, network, space.name) for network in networks])
    scale, intercept = _line(sums[: settings.calibration], measured[: settings.calibration])
    predicted, true = (values[settings.calibration :] for values in (intercept + scale * sums, measured))
    found = agreement(true, predicted)
    checked = (
        CheckedNetwork(genes=architecture.genes, predicted_ms=float(guess), measured_ms=float(truth))
        for architecture, guess, truth in zip(drawn[settings.calibration :], predicted, true, strict=True)
    )
    return LatencyTable(
        space=space.name,
        device=settings.device,
        backend=settings.backend,
        threads=settings.threads,
        batch=settings.batch,
        operators_ms=operators_ms,
        scale=scale,
        intercept_ms=intercept,
        validation=Validation(
            mape=found["mape"],
            kendall_tau=float(np.nan_to_num(found["kendall_tau"])),
            spearman=float(np.nan_to_num(found["spearman"])),
            networks=tuple(checked),
        ),
        machine=_machine(settings),
        seconds=round(time.perf_counter() - start, 1),
    )


def measure_network(network: Network, settings: BuildSettings) -> float:
    """Return the median latency of one batch through a whole network, in ms."""
    with fixed_threads(settings.threads):
        return float(interleaved_medians([_network_runner(network, settings)], settings.rounds)[0])


def _network_runner(network: Network, settings: BuildSettings) -> Call:
    """Return a function that runs a whole network once."""
    return _runner(build(network), (settings.batch, 3, network.resolution, network.resolution), settings)


def _runner(module: nn.Module, shape: tuple[int, ...], settings: BuildSettings) -> Call:
    return runner(module, shape, settings.device, settings.backend, settings.threads)


def _draw(space: SearchSpace, count: int, seed: int) -> list[Architecture]:
    """Draw different architectures that decode to networks."""
    generator, found = np.random.default_rng(seed), dict[Architecture, None]()
    for _ in range(100 * count):
        candidate = spaces.sample(space, generator)
        try:
            spaces.decode(space, candidate)
        except InputError:
            continue
        found[candidate] = None
        if len(found) == count:
            return list(found)
    raise InputError(
        f"space '{space.name}' has only {len(found)} networks; a latency table needs {count} to fit and check it"
    )


def _line(sums: np.ndarray, measured: np.ndarray) -> tuple[float, float]:
    """Return scale and intercept, both at least 0, by least squares of relative errors.

    If that gives no positive scale, the line goes through 0.
    """
    from scipy.optimize import nnls

    design = np.stack([sums, np.ones_like(sums)], axis=1) / measured[:, None]
    (scale, intercept), _ = nnls(design, np.ones_like(sums))
    return (float(scale), float(intercept)) if scale > 0 else (float((measured / sums).mean()), 0.0)


def _module(operator: Operator) -> nn.Module:
    """Build the module of one operator."""
    if isinstance(operator, StemOperator):
        stage = Stage(operator.stem.channels, op="conv", kernel=1)
        head = Head(0)
        return NetworkModule(Network(operator.in_size, 2, operator.stem, (stage,), head)).stem
    if isinstance(operator, HeadOperator):
        return _HeadModule(operator)
    return Block(operator, 0.0, Norm())


class _HeadModule(nn.Module):
    """All layers after the stages, on maps ``(batch, channels, h, w)``."""

    def __init__(self, operator: HeadOperator) -> None:
        super().__init__()
        stage = Stage(operator.in_channels, op="conv", kernel=1)
        whole = NetworkModule(
            Network(operator.in_size, operator.classes, Stem(operator.in_channels, stride=1), (stage,), operator.head)
        )
        self.head, self.hidden, self.classifier = whole.head, whole.hidden, whole.classifier

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Return logits ``(batch, classes)``."""
        logits: torch.Tensor = self.classifier(self.hidden(self.head(maps).mean((2, 3))))
        return logits


def _machine(settings: BuildSettings) -> dict[str, str]:
    found = {"processor": processor(), "system": platform.platform(), "torch": torch.__version__}
    if settings.device == "cuda":
        found["gpu"] = torch.cuda.get_device_name()
    if settings.backend == ONNXRUNTIME:
        found["onnxruntime"] = version("onnxruntime")
    return found
