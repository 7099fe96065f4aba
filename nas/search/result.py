"""``result.json``: the result of a run, as a typed model that writes the file and reads it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError, model_validator

RESULT = "result.json"
FORMAT = 2
# Left out if they are not known.
_LEFT_OUT = ("latency_ms", "throughput", "measured_latency_ms", "predicted", "confirmed", "control")
_log = logging.getLogger(__name__)


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class CandidateResult(_Model):
    """A network that was trained again."""

    number: int
    accuracies: tuple[float, ...]
    """Accuracies of the confirming trainings, fractions."""
    reward: float
    """Reward at the mean of the accuracies."""
    control: bool = Field(validation_alias=AliasChoices("control", "spread_out"))
    """Whether it was trained for comparison, not as one of the best."""


class ConfirmationResult(_Model):
    """The confirming trainings."""

    epochs: int | None
    accuracy: float
    """Mean accuracy of the winner's confirming trainings, a fraction."""
    reward: float
    seed_std: float | None = Field(validation_alias=AliasChoices("seed_std", "seed_deviation"))
    """Standard deviation of one training from seed to seed; ``None`` if nothing was trained twice."""
    tied: tuple[int, ...]
    """Numbers of the trials whose reward is not significantly lower than the winner's."""
    candidates: tuple[CandidateResult, ...]


class ControlNetwork(_Model):
    """A stock network that was scaled to the budget and trained."""

    name: str
    words: str
    """The network and its scaling, in words."""
    width: float
    depth: float
    resolution: int
    macs: int | float | None = None
    params: int | float | None = None
    latency_ms: float | None = None
    accuracy: float | None = None
    """Validation accuracy of a training as long as a trial's, a fraction; ``None`` if it failed."""
    confirmed: tuple[float, ...] = ()
    """Validation accuracies of its confirming trainings, fractions."""
    error: str | None = None
    is_default: bool = False
    """Whether it is the default architecture of the space, not a stock network."""


class ControlResult(_Model):
    """The comparison of the baseline with the best stock network of the same budget, on the test images."""

    networks: tuple[ControlNetwork, ...]
    refused: dict[str, str] = {}
    """By name, why other stock networks could not be scaled to the budget."""
    no_time: tuple[str, ...] = ()
    """Names of stock networks for which the time budget left no time."""
    best: str
    words: str
    """The best stock network on the validation images, and its scaling, in words."""
    metric: str = "accuracy"
    """What is compared: accuracy, or the metric that the search maximised."""
    epochs: int | None = None
    """Epochs of each of the compared trainings."""
    trainings: int
    """Trainings of each of the two networks, with the same seeds."""
    baseline_test: float
    """Mean test accuracy of the baseline's trainings, a fraction."""
    best_test: float
    """Mean test accuracy of the stock network's trainings, a fraction."""
    difference: float
    """``baseline_test`` minus ``best_test``."""
    half_width: float
    """Half the width of the 95% interval of ``difference``."""
    test_images: int = 0
    default_difference: float | None = None
    """Mean test accuracy of the baseline minus that of the space's default architecture; ``None`` if not trained."""
    default_half_width: float | None = None
    """Half the width of the 95% interval of ``default_difference``."""

    @property
    def default_verdict(self) -> str:
        """The comparison with the space's default architecture in words; empty if there is none."""
        if self.default_difference is None or self.default_half_width is None:
            return ""
        points = f"{100 * abs(self.default_difference):.1f} ± {100 * self.default_half_width:.1f} points"
        return f"{points} {'above' if self.default_difference >= 0 else 'below'} the space's default architecture"

    @property
    def is_better(self) -> bool:
        """Whether the baseline is significantly better than the best stock network."""
        return self.difference > self.half_width

    @property
    def verdict(self) -> str:
        """The comparison in words."""
        points = f"{100 * abs(self.difference):.1f} ± {100 * self.half_width:.1f} points"
        if self.is_better:
            return f"{points} above the best stock network ({self.words})"
        if self.difference < -self.half_width:
            return f"{points} below the best stock network ({self.words}): take that, or search longer"
        side = "above" if self.difference >= 0 else "below"
        return f"no better than {self.words} ({points} {side} it): take that, or search longer"


class PredictedNetwork(_Model):
    """A network's predicted ImageNet accuracies, as fractions, and its costs."""

    macs: int
    params: int
    accuracy: float
    """Prediction of the fit that the search did not use."""
    accuracy_std: float
    accuracy_longer: float
    accuracy_longer_std: float
    picked_by: float
    """Prediction of the fit that the search used."""
    optimism: float
    """``picked_by`` minus ``accuracy``."""
    extrapolated: bool
    latency_ms: float | None = None
    throughput: float | None = None


class PredictionResult(_Model):
    """Comparison of the baseline with EfficientNet-B0 by the ImageNet surrogate."""

    found: PredictedNetwork
    efficientnet_b0: PredictedNetwork
    gain: float
    gain_interval: tuple[float, float]
    """95% interval of ``gain``."""
    b0_inside: bool
    b0_better_than: float | None
    sample: int


class Result(_Model):
    """The result of a run."""

    format: int = FORMAT
    """Version of the file format."""
    number: int
    """Number of the baseline's trial."""
    accuracy: float
    """The least biased estimate of the baseline's accuracy, a fraction: the mean of its confirming trainings; else, if
    accuracies are predicted, the prediction of the fit that the search did not use; else its accuracy in the search, on
    the validation split."""
    searched_accuracy: float | None
    """Accuracy of the baseline in the search, a fraction. The best of many noisy values is an over-estimate."""
    test_accuracy: float | None = None
    """Accuracy on the test split, a fraction; ``None`` if it was not measured."""
    macs: int | float | None = None
    params: int | float | None = None
    reward: float | None = None
    genes: tuple[int, ...] = ()
    choices: dict[str, Any] = {}
    space: str = ""
    target_flops: float | None = None
    trials: dict[str, int] = {}
    """Number of trials by status."""
    front: tuple[int, ...] = ()
    """Numbers of the trials on the Pareto front."""
    seconds: float = 0.0
    """Total seconds of all trials."""
    seed: int = 0
    latency_ms: float | None = None
    throughput: float | None = None
    measured_latency_ms: float | None = None
    predicted: PredictionResult | None = None
    confirmed: ConfirmationResult | None = None
    control: ControlResult | None = None
    """The comparison with stock networks; ``None`` if the search trained none."""
    ended: bool = True
    """Whether the search ended without being interrupted."""

    @model_validator(mode="before")
    @classmethod
    def _from_format_1(cls, data: Any) -> Any:
        """Convert a file of the first format, which has no version number.

        In that format, ``accuracy`` is the accuracy in the search (if accuracies are predicted: the prediction of the
        fit that the search used). After a confirmation, it is the mean of the confirming trainings instead, and the
        accuracy in the search is not stored.
        """
        if not isinstance(data, dict) or "searched_accuracy" in data or "accuracy" not in data:
            return data
        searched, honest = None if data.get("confirmed") else data["accuracy"], data["accuracy"]
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
            _log.warning("%s is ignored: it is damaged or has another format (%s)", path, str(error).splitlines()[0])
            return None
