"""The limits on costs of a run, which are checked before training, and its reward."""

from __future__ import annotations

import math

from nas.core.errors import InputError
from nas.core.units import format_quantity
from nas.evaluate.cost.device import DeviceModel
from nas.evaluate.imagenet.device import TITLES
from nas.evaluate.imagenet.measured_table import LATENCIES
from nas.evaluate.objective.limits import Limit, Limits, macs_band, target_band
from nas.evaluate.objective.reward import EXPONENTS, Factor, Reward
from nas.search.config import RunConfig

_LIMIT_FLAGS = {"params": "--max-params", "memory_bytes": "--max-memory", "latency_ms": "--max-latency"}


def budget(config: RunConfig) -> Limits:
    """Return the limits that are checked before training: target bands, upper limits, minimum throughput."""
    objective, tolerance = config.objective, config.objective.tolerance
    limits = []
    if objective.target_flops is not None and tolerance is not None:
        limits.append(macs_band(objective.target_flops, tolerance))
    if objective.target_latency is not None and tolerance is not None:
        flag = f"--target-latency {objective.target_latency:g}ms"
        limits.append(target_band("latency_ms", objective.target_latency, tolerance, flag))
    for metric, most in objective.limits.items():
        if taken := next((limit for limit in limits if limit.metric == metric), None):
            target = taken.flag.split()[0]
            raise InputError(
                f"objective.limits.{metric}: {target} limits {_words(metric)} already; give one of the two"
            )
        flag = _LIMIT_FLAGS.get(metric, "")
        shown = f"{most:g}ms" if metric == "latency_ms" else format_quantity(most)
        limits.append(Limit(metric, most, flag=f"{flag} {shown}" if flag else f"objective.limits.{metric}"))
    if (least := objective.min_throughput) is not None:
        limits.append(Limit("throughput", math.inf, least, f"--min-throughput {format_quantity(least)}"))
    return Limits(tuple(limits))


def _words(metric: str) -> str:
    return {"macs": "the MACs", "latency_ms": "the latency"}.get(metric, metric)


def reward(config: RunConfig) -> Reward:
    """Return the reward of the configured targets."""
    objective = config.objective
    alpha, beta = EXPONENTS[objective.constraint]
    alpha = alpha if objective.alpha is None else objective.alpha
    beta = beta if objective.beta is None else objective.beta
    targets = {"macs": objective.target_flops, "latency_ms": objective.target_latency}
    factors = [Factor(name, target, alpha, beta) for name, target in targets.items() if target is not None]
    for place, one in enumerate(objective.factors):
        key = f"objective.factors[{place}].metric"
        if one.metric == "accuracy":
            raise InputError(f"{key}: the accuracy is the reward's first factor already; name a cost")
        if one.metric in (factor.metric for factor in factors):
            raise InputError(f"{key}: '{one.metric}' has a factor already")
        own = (alpha if one.alpha is None else one.alpha, beta if one.beta is None else one.beta)
        factors.append(Factor(one.metric, one.target, *own))
    return Reward(tuple(factors))


def check_device(device: DeviceModel | None, latency: bool, throughput: bool) -> None:
    """Check that there is a device, and that it predicts the required latency or throughput.

    Raises:
        InputError: naming the flag and what is available.
    """
    if device is None:
        flag = "--target-latency and --max-latency" if latency else "--min-throughput"
        raise InputError(f"{flag}: speed depends on the device; give --device {'|'.join((*TITLES, 'FILE.json'))}")
    has = " and ".join({"latency_ms": "latency", "throughput": "throughput"}[metric] for metric in device.metrics)
    if latency and "latency_ms" not in device.metrics:
        raise InputError(
            f"--device {device.name}: was measured for {has} only (images/s); ask for --min-throughput, or for the "
            f"latency of {', '.join(LATENCIES)} or of your own machine (nas latency build)"
        )
    if throughput and "throughput" not in device.metrics:
        raise InputError(f"--device {device.name}: has {has} only; ask for --max-latency or --target-latency")
