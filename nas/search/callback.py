"""Those who look on at a search, and the words for what they see."""

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
    """What a search has done and may do, as its trials begin.

    Attributes:
        goal: how many trials are asked for; ``None`` where the time budget alone ends the search.
        tally: of the trials that ended before. The session keeps it up to date, before callbacks hear of a trial.
        is_instant: whether nothing is trained, so that thousands of trials take seconds.
        time_account: of the time budget; ``None`` without one.
        gpus_per_worker: the share of a GPU that a trial holds; 0 without.
    """

    goal: int | None
    tally: Tally
    is_instant: bool = False
    time_account: TimeAccount | None = None
    gpus_per_worker: float = 0.0


class SearchCallback(Callback):
    """Looks on at a search from its beginning to its end. Every method does nothing."""

    def search_prepared(self, setup: Setup, run: Run) -> None:
        """The run's directory is there; its first trial, or the first one missing, comes next."""

    def trials_started(self, state: SearchState) -> None:
        """Trials begin."""

    def trials_ended(self) -> None:
        """The last trial ended, or the search was interrupted or failed."""

    def search_interrupted(self, run: Run, best: Trial | None) -> None:
        """Somebody interrupted the search. All finished trials are saved; ``best`` is the best of them."""


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
    """Name the controller's options that were fitted to the number of trials, in parentheses; empty without any."""
    config = setup.config
    fitted = [f"{key} {value}" for key, value in setup.controller_options.items() if key not in config.controller]
    return f" ({', '.join(fitted)})" if fitted else ""
