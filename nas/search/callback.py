"""Callbacks that observe a search, and texts that describe trials and options."""

from __future__ import annotations

from dataclasses import dataclass

from nas.core.callback import Callback
from nas.core.records import Trial
from nas.core.units import format_quantity
from nas.search.assemble import Setup
from nas.search.run_directory import Run
from nas.search.tally import Tally
from nas.search.time_budget import TimeAccount

_INSTANT_S = 0.05
_COSTS = (("macs", "MACs"), ("params", "params"))


@dataclass(frozen=True)
class SearchState:
    """The state of a search when its trials begin.

    Attributes:
        goal: number of trials to finish; ``None`` if the time budget alone ends the search.
        tally: statistics of the trials that have ended. The session updates it before callbacks are told of a trial.
        is_instant: whether nothing is trained, so that thousands of trials take seconds.
        time_account: account of the time budget; ``None`` if there is none.
        gpus_per_worker: share of a GPU that each worker holds; 0 if trials use no GPU.
    """

    goal: int | None
    tally: Tally
    is_instant: bool = False
    time_account: TimeAccount | None = None
    gpus_per_worker: float = 0.0


class SearchCallback(Callback):
    """Base class of the callbacks that observe a search. Every method does nothing by default."""

    def search_prepared(self, setup: Setup, run: Run) -> None:
        """Called when the run's directory is ready, before its first trial or, if resumed, its first missing trial."""

    def trials_started(self, state: SearchState) -> None:
        """Called before the first trial of this process."""

    def trials_ended(self) -> None:
        """Called after the last trial, or when the search was interrupted or has failed."""

    def search_interrupted(self, run: Run, best: Trial | None) -> None:
        """Called when the search was interrupted. All finished trials are saved; ``best`` is the best of them."""


def trial_line(trial: Trial) -> str:
    """Describe a trial in one line."""
    if trial.status == "pruned":
        accuracy, epochs = trial.metrics.get("accuracy", 0.0), trial.metrics.get("epochs", 0)
        return f"trial {trial.number:>3}  pruned at {accuracy:.1%} after {epochs:g} epochs, {trial.seconds:.1f} s"
    if trial.status != "ok":
        return f"trial {trial.number:>3}  {trial.status} after {trial.seconds:.1f} s: {trial.error}"
    metrics = trial.metrics
    costs = "".join(f"  {format_quantity(metrics[name]):>6} {label}" for name, label in _COSTS if name in metrics)
    costs += f"  {metrics['latency_ms']:.2f} ms" if "latency_ms" in metrics else ""
    costs += f"  {metrics['throughput']:,.0f} images/s" if "throughput" in metrics else ""
    seconds = f"  {trial.seconds:.1f} s" if trial.seconds >= _INSTANT_S else ""
    return f"trial {trial.number:>3}  accuracy {metrics['accuracy']:.1%}{costs}  reward {trial.reward:.4f}{seconds}"


def fitted_words(setup: Setup) -> str:
    """Return the controller's options that were fitted to the number of trials, in parentheses; empty if none were."""
    config = setup.config
    fitted = [f"{key} {value}" for key, value in setup.controller_options.items() if key not in config.controller]
    return f" ({', '.join(fitted)})" if fitted else ""
