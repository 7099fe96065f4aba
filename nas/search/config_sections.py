"""The sections of a run's configuration, with a docstring under every field."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from nas.core.flag import RUN, Flag
from nas.core.section import Count, Milliseconds, Seconds, Section, Throughput
from nas.core.units import parse_bytes, parse_count, parse_milliseconds
from nas.scale.stock import STOCK


def parse_limits(value: Any) -> Any:
    """Parse upper limits by metric: bytes or milliseconds if the metric's name ends in that unit, else counts."""
    if not isinstance(value, dict):
        return value
    units = {"bytes": parse_bytes, "ms": parse_milliseconds}
    parsers = {name: units.get(str(name).rpartition("_")[2], parse_count) for name in value}
    return {name: parse(value[name], str(name)) for name, parse in parsers.items() if value[name] is not None}


def _optional_number(value: Any) -> Any:
    return None if isinstance(value, str) and value.lower() == "none" else value


def _in_unit(value: Any) -> Any:
    """Parse the target of a factor in the unit of its metric."""
    if isinstance(value, dict) and "target" in value:
        return {**value, "target": parse_limits({str(value.get("metric")): value["target"]})[str(value.get("metric"))]}
    return value


class FactorSettings(Section):
    """One factor ``[metric / target] ** w`` of the reward, with ``w = alpha`` up to the target and ``beta`` above."""

    metric: str = Field(min_length=1)
    """Name of the metric, which has to be positive: ``params``, ``memory_bytes``, ``latency_ms``, or one that the
    evaluator returns."""
    target: float = Field(gt=0)
    """Target in the metric's unit, for instance ``5M``, ``20MB`` or ``3ms``."""
    alpha: float | None = None
    """Exponent at or below the target; unset: that of the section."""
    beta: float | None = None
    """Exponent above the target; unset: that of the section."""

    @model_validator(mode="before")
    @classmethod
    def _parse_target(cls, value: Any) -> Any:
        return _in_unit(value)


class ObjectiveSettings(Section):
    """The targets of the reward, and the limits on costs."""

    target_flops: Annotated[
        Count,
        Flag("--target-flops", help="Target in MACs at the deployment resolution: 400M; a list with --supernet."),
    ] = None
    """Target T in MACs at the deployment resolution, for instance ``400M``."""
    tolerance: Annotated[
        float | None,
        BeforeValidator(_optional_number),
        Flag("--tolerance", help="Only networks with (1 - X) * target <= cost <= target; none removes this band."),
    ] = Field(default=0.1, ge=0, lt=1)
    """Only networks with (1 - tolerance) * T <= MACs <= T are trained; ``none`` removes this band."""
    limits: Annotated[
        dict[str, float],
        BeforeValidator(parse_limits),
        Flag("--max-params", key="params", help="Maximum number of parameters: 5M."),
        Flag(
            "--max-memory",
            key="memory_bytes",
            help="Maximum memory of float32 weights and activations (one image): 20MB.",
        ),
        Flag("--max-latency", key="latency_ms", help="Maximum latency on the device: 3ms."),
    ] = Field(default_factory=dict)
    """Upper limits on costs that are known before training: ``{params: 5M, memory_bytes: 20MB}``. Architectures that
    exceed a limit are not trained. Stage tables have macs, params, weight_bytes, peak_activation_bytes and memory_bytes
    (weight_bytes + peak_activation_bytes)."""
    device: Annotated[
        str | None,
        Flag(
            "--device",
            help="Hardware whose speed is predicted: a100, 3090, tpuv2, tpuv3, zcu102, vck190, or a latency table's "
            "FILE.json.",
        ),
    ] = None
    """Hardware whose speed is predicted: ``a100``, ``3090``, ``tpuv2``, ``tpuv3``, ``zcu102``, ``vck190``, or the
    FILE.json of ``nas latency build``."""
    target_latency: Annotated[
        Milliseconds,
        Flag("--target-latency", help="Target latency on the device, such as 3ms: adds a reward factor and a band."),
    ] = None
    """Target latency T on the device in ms, for instance ``3ms``. It adds a factor to the reward and a band
    as for the MACs."""
    min_throughput: Annotated[
        Throughput, Flag("--min-throughput", help="Minimum throughput on the device in images per second: 8000.")
    ] = None
    """Minimum throughput on the device in images per second."""
    max_latency_error: float = Field(default=0.1, gt=0)
    """Maximum mean relative error of a latency table on whole networks; a table with a larger error is refused."""
    metric: Annotated[
        Literal["accuracy", "balanced_accuracy", "macro_f1", "top5_accuracy"],
        Flag("--metric", help="What is maximised: accuracy, balanced_accuracy, macro_f1 or top5_accuracy."),
    ] = "accuracy"
    """What the proxy returns as ``accuracy``, and so what every figure of the run called accuracy is: the share of the
    images, the mean of the classes' recalls, the mean of their F1 scores, or the share of the images whose class is
    among the first five. With another metric than ``accuracy``, a trial also has ``plain_accuracy``."""
    constraint: Annotated[
        Literal["soft", "hard"],
        Flag("--constraint", help="Reward: soft (alpha = beta = -0.07) or hard (0, -1)."),
    ] = "soft"
    """``soft``: alpha = beta = -0.07; ``hard``: alpha = 0, beta = -1."""
    alpha: Annotated[float | None, Flag("--alpha", help="Exponent of cost/target at or below the target.")] = None
    """Exponent of MACs / T, and of latency / T, at or below the target; unset: given by ``constraint``."""
    beta: Annotated[float | None, Flag("--beta", help="Exponent above the target.")] = None
    """Exponent above the target; unset: given by ``constraint``."""
    factors: tuple[FactorSettings, ...] = ()
    """Further factors of the reward, on any known metric or one of the evaluator's own:
    ``[{metric: params, target: 5M}, {metric: energy_mj, target: 3, alpha: 0, beta: -0.5}]``."""


class FidelitySettings(Section):
    """How long each network is trained."""

    method: Annotated[
        Literal["full", "asha"],
        Flag("--fidelity", help="full: every network for all epochs; asha: most for a few epochs, the best for all."),
    ] = "full"
    """``full``: all networks are trained for the evaluator's epochs; ``asha``: most for a few epochs, the best
    for all."""
    reduction: int = Field(default=3, ge=2)
    """ASHA: the reduction factor r. One in r trials of a rung is promoted, to a training r times as long."""
    min_epochs: int = Field(default=1, ge=1)
    """ASHA: epochs of the shortest training."""
    max_epochs: int | None = Field(default=None, ge=2)
    """ASHA: epochs of the longest training; unset: the evaluator's epochs."""


class ControlSettings(Section):
    """The control: stock networks that are scaled to the budget and trained as the search's own networks are."""

    enabled: Annotated[
        bool,
        Flag(
            "--control/--no-control",
            help="Train stock networks scaled to the same budget too, to compare with (default: yes).",
            resumable=True,
        ),
    ] = True
    """Train the control, in every search that trains on images."""
    networks: tuple[str, ...] = STOCK
    """Names of the stock networks. The space's default architecture is trained too."""
    trainings: int = Field(default=3, ge=1)
    """Trainings of the baseline and of the best stock network, each with another seed, for the comparison at the end;
    with ``--confirm``, its rounds take their place."""


class TrackingSettings(Section):
    """Experiment tracking of the search."""

    wandb: Annotated[
        bool,
        Flag("--wandb", RUN, help="Log to Weights & Biases; offline without a key or a connection.", resumable=True),
    ] = False
    """Log to Weights & Biases; offline where there is no key (``WANDB_API_KEY``) or no network connection."""
    project: str = "nas"
    """wandb's project."""
    entity: str | None = None
    """wandb's user or team; unset: the default of the API key."""


class ConfirmationSettings(Section):
    """Confirmation: training the best trials again before the winner is chosen."""

    candidates: Annotated[
        int,
        Flag(
            "--confirm",
            help="Train the K best trials and K others again, longer and with other seeds, before choosing the winner.",
            resumable=True,
        ),
    ] = Field(default=0, ge=0)
    """Number of the best trials that are trained again. The same number of the other trials, spread over their ranking,
    is trained again too. 0: none."""
    rounds: int = Field(default=3, ge=1)
    """Maximum number of rounds, each with other seeds; after the first round, only candidates that may still be the
    best are trained."""
    seconds: Seconds = Field(default=None, gt=0)
    """Wall-clock seconds after which no further round begins; unset: the rounds alone decide."""
    epochs: int | None = Field(default=None, ge=1)
    """Epochs of each confirming training; unset: three times those of a full training, or the evaluator's own schedule
    if those are not known."""
