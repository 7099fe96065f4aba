"""The sections of a run's configuration, with a word under every field."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from nas.core.flag import RUN, Flag
from nas.core.section import Count, Milliseconds, Section, Throughput
from nas.core.units import parse_bytes, parse_count, parse_milliseconds


def _limits(value: Any) -> Any:
    """Parse ceilings by metric: bytes and milliseconds where the metric's name says so, counts elsewhere."""
    if not isinstance(value, dict):
        return value
    units = {"bytes": parse_bytes, "ms": parse_milliseconds}
    parsers = {name: units.get(str(name).rpartition("_")[2], parse_count) for name in value}
    return {name: parse(value[name], str(name)) for name, parse in parsers.items() if value[name] is not None}


def _optional_number(value: Any) -> Any:
    return None if isinstance(value, str) and value.lower() == "none" else value


class ObjectiveSettings(Section):
    """What is maximised, and the budget."""

    target_flops: Annotated[
        Count, Flag("--target-flops", help="Budget in MACs at the deployment resolution: 400M, 0.4G, 4e8.")
    ] = None
    """T in MACs at the deployment resolution, as people write it: ``400M``."""
    tolerance: Annotated[
        float | None,
        BeforeValidator(_optional_number),
        Flag("--tolerance", help="Only networks from (1 - X) times the target up to it; none lifts the band."),
    ] = Field(default=0.1, ge=0, lt=1)
    """Only networks with (1 - tolerance) * T <= MACs <= T are trained; ``none`` lifts the band."""
    limits: Annotated[
        dict[str, float],
        BeforeValidator(_limits),
        Flag("--max-params", key="params", help="Only networks with at most so many params: 5M."),
        Flag(
            "--max-memory",
            key="memory_bytes",
            help="Only networks whose float32 weights and activations (one image) fit in: 20MB.",
        ),
        Flag("--max-latency", key="latency_ms", help="Only networks at most so slow on the device: 3ms."),
    ] = Field(default_factory=dict)
    """Ceilings on any costs known before training: ``{params: 5M, memory_bytes: 20MB}``; what breaks one is never
    trained. Stage tables have macs, params, weight_bytes, peak_activation_bytes and memory_bytes (their sum)."""
    device: Annotated[
        str | None,
        Flag(
            "--device",
            help="Whose speed is predicted: a100, 3090, tpuv2, tpuv3, zcu102, vck190, or a latency table's FILE.json.",
        ),
    ] = None
    """Hardware whose speed is predicted: ``a100``, ``3090``, ``tpuv2``, ``tpuv3``, ``zcu102``, ``vck190``, or the
    FILE.json of ``nas latency build``."""
    target_latency: Annotated[
        Milliseconds,
        Flag("--target-latency", help="Latency on the device as a cost in the reward, with a band: 3ms."),
    ] = None
    """T of a further factor of the reward, latency in ms on the device: ``3ms``; a band like that of the MACs."""
    min_throughput: Annotated[
        Throughput, Flag("--min-throughput", help="Only networks with at least so many images a second: 8000.")
    ] = None
    """Only networks with at least so many images a second on the device."""
    max_latency_error: float = Field(default=0.1, gt=0)
    """A latency table is refused if its mean relative error on whole networks was larger."""
    constraint: Annotated[
        Literal["soft", "hard"],
        Flag("--constraint", help="Reward: soft (alpha = beta = -0.07) or hard (0, -1)."),
    ] = "soft"
    """``soft``: alpha = beta = -0.07; ``hard``: alpha = 0, beta = -1."""
    alpha: Annotated[float | None, Flag("--alpha", help="Exponent of MACs/target at or below the target.")] = None
    """Exponent of MACs / T at or below the target; unset: the constraint's."""
    beta: Annotated[float | None, Flag("--beta", help="Exponent above the target.")] = None
    """Exponent above the target; unset: the constraint's."""


class FidelitySettings(Section):
    """How long each network is trained."""

    method: Annotated[
        Literal["full", "asha"],
        Flag("--fidelity", help="full: all are trained alike; asha: most for a few epochs, the best for all."),
    ] = "full"
    """``full``: all for the evaluator's epochs; ``asha``: most for a few, the best for all of them."""
    reduction: int = Field(default=3, ge=2)
    """ASHA: one of so many trials is trained longer, so many times as long."""
    min_epochs: int = Field(default=1, ge=1)
    """ASHA: epochs of the shortest training."""
    max_epochs: int | None = Field(default=None, ge=2)
    """ASHA: epochs of the longest; unset: the evaluator's."""


class TrackingSettings(Section):
    """Who else follows the search."""

    wandb: Annotated[
        bool,
        Flag("--wandb", RUN, help="Log to Weights & Biases; offline without a key or a network.", resumable=True),
    ] = False
    """Log to Weights & Biases; offline where there is no key (``WANDB_API_KEY``) or no network."""
    project: str = "nas"
    """wandb's project."""
    entity: str | None = None
    """wandb's user or team; unset: the key's own."""


class ConfirmationSettings(Section):
    """Training the best again before the winner is named."""

    candidates: Annotated[
        int,
        Flag(
            "--confirm",
            help="Train the K best again, longer and from other seeds, and K others, before the winner is named.",
            resumable=True,
        ),
    ] = Field(default=0, ge=0)
    """So many of the best trials, and as many spread over the others, are trained again; 0: none."""
    rounds: int = Field(default=3, ge=1)
    """At most so many trainings of each, all from other seeds; after the first, only of those that may still be the
    best."""
    epochs: int | None = Field(default=None, ge=1)
    """Epochs of each; unset: three times the evaluator's."""
