"""``result.json``: the result of a run, typed. The model that writes the file reads it back."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError, model_validator

RESULT = "result.json"
FORMAT = 2
_LEFT_OUT = ("latency_ms", "throughput", "measured_latency_ms", "predicted", "confirmed")  # where they are not known
_log = logging.getLogger(__name__)


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class CandidateResult(_Model):
    """A trial that was trained again."""

    number: int
    accuracies: tuple[float, ...]
    """One for each confirming training, fractions."""
    reward: float
    """Of their mean."""
    control: bool = Field(validation_alias=AliasChoices("control", "spread_out"))
    """Whether it was trained for comparison, not as one of the best."""


class ConfirmationResult(_Model):
    """The confirming trainings."""

    epochs: int | None
    accuracy: float
    """Mean of the winner's trainings, a fraction."""
    reward: float
    seed_std: float | None = Field(validation_alias=AliasChoices("seed_std", "seed_deviation"))
    """Standard deviation of one training from seed to seed; ``None`` if nothing was trained twice."""
    tied: tuple[int, ...]
    """Trials that are behind the winner by no more than chance."""
    candidates: tuple[CandidateResult, ...]


class PredictedNetwork(_Model):
    """A network's predicted ImageNet accuracies, as fractions, and its costs."""

    macs: int
    params: int
    accuracy: float
    """By the fit that did not search."""
    accuracy_std: float
    accuracy_longer: float
    accuracy_longer_std: float
    picked_by: float
    """By the fit that searched."""
    optimism: float
    """How much higher the fit that searched is."""
    extrapolated: bool
    latency_ms: float | None = None
    throughput: float | None = None


class PredictionResult(_Model):
    """The baseline beside EfficientNet-B0, by the ImageNet surrogate."""

    found: PredictedNetwork
    efficientnet_b0: PredictedNetwork
    gain: float
    gain_interval: tuple[float, float]
    """Of 95%."""
    b0_inside: bool
    b0_better_than: float | None
    sample: int


class Result(_Model):
    """The result of a run."""

    format: int = FORMAT
    """Of this file."""
    number: int
    """The baseline's trial."""
    accuracy: float
    """The honest figure, a fraction: of the confirming trainings; else by the fit that did not search, where accuracy
    is predicted; else on the validation part."""
    searched_accuracy: float
    """What the search saw of the baseline, a fraction. The best of many noisy figures is an over-estimate."""
    test_accuracy: float | None = None
    """On the test part, a fraction; ``None`` if there is none."""
    macs: int | float | None = None
    params: int | float | None = None
    reward: float | None = None
    genes: tuple[int, ...] = ()
    choices: dict[str, Any] = {}
    space: str = ""
    target_flops: float | None = None
    trials: dict[str, int] = {}
    """How many, by status."""
    front: tuple[int, ...] = ()
    """Trials of the Pareto front."""
    seconds: float = 0.0
    """Of all trials together."""
    seed: int = 0
    latency_ms: float | None = None
    throughput: float | None = None
    measured_latency_ms: float | None = None
    predicted: PredictionResult | None = None
    confirmed: ConfirmationResult | None = None
    ended: bool = True
    """Whether the search came to its end, and was not interrupted."""

    @model_validator(mode="before")
    @classmethod
    def _from_format_1(cls, data: Any) -> Any:
        """Read a file without a format number: its ``accuracy`` of a predicted search was the searched one."""
        if not isinstance(data, dict) or "format" in data or "accuracy" not in data:
            return data
        searched, honest = data["accuracy"], data["accuracy"]
        if isinstance(predicted := data.get("predicted"), dict):
            honest = predicted.get("found", {}).get("accuracy", honest)
        return {**data, "format": FORMAT, "accuracy": honest, "searched_accuracy": searched}

    def to_json(self) -> str:
        """Return the content of ``result.json``."""
        missing = {name for name in _LEFT_OUT if getattr(self, name) is None}
        return self.model_dump_json(indent=2, exclude=missing) + "\n"

    @classmethod
    def read(cls, run: Path) -> Result | None:
        """Read a run directory's result; ``None`` if there is none yet, or the file is damaged (a warning says so)."""
        path = run / RESULT
        try:
            return cls.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            _log.warning("%s is left out: it is damaged or of another format (%s)", path, str(error).splitlines()[0])
            return None
