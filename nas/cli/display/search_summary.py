"""What a search says at its beginning and at its end."""

from __future__ import annotations

import logging
import shlex
from pathlib import Path

from rich.console import Console

from nas.cli.display.b0_comparison import print_against_b0
from nas.cli.display.output import say, say_files, say_next, show_table, stage_table
from nas.cli.display.progress import format_duration, trial_line
from nas.core.program import program
from nas.core.units import count_words, format_quantity
from nas.core.version import versions
from nas.evaluate.recipe import IMAGENET, PROXY
from nas.search.assemble import Setup
from nas.search.baseline import Outcome
from nas.search.confirmation import Rounds
from nas.search.run_directory import Run
from nas.search_spaces import space as spaces
from nas.studies.proxy_ranking import REPORT, read_trust

_log = logging.getLogger("nas")
_COLUMN = 16  # where the figures of an outcome begin
SURROGATE = (
    "ImageNet accuracy is predicted, not trained: by a model of some 4,000 networks that Accel-NASBench trained for 16 "
    "epochs. For your own images: --data DIR"
)


def announce(setup: Setup, run: Run, console: Console) -> None:
    """Say what is about to be done, and where."""
    config, objective = setup.config, setup.config.objective
    if config.evaluator["name"] == IMAGENET:
        say(console, SURROGATE)
    size = spaces.size(setup.space)
    say(console, f"Space    {setup.space.name}: {size:,} architectures")
    if objective.target_flops is not None:
        target = objective.target_flops
        band = (
            ""
            if objective.tolerance is None
            else f", only {format_quantity((1 - objective.tolerance) * target)} and above"
        )
        say(console, f"Budget   {format_quantity(target)} MACs{band}; {objective.constraint} reward")
    if ceilings := [limit for limit in setup.limits if limit.metric != "macs" or objective.target_flops is None]:
        say(console, f"Limits   {', '.join(map(str, ceilings))}")
    if setup.costs.device is not None:
        say(console, f"Device   {setup.costs.device.name}: {setup.costs.device.note}")
    where = f"{config.worker_count} Ray workers" if config.worker_count else "this process"
    evaluator, controller = Path(config.evaluator["name"]).name, config.controller["name"]
    open_yet = config.budget is not None and config.expected_trials is None  # told with the estimate
    own = "" if open_yet else fitted_words(setup)
    count = f"what {config.budget} allows" if config.is_open_ended else str(config.trials)
    count += f", within {config.budget}," if config.budget and not config.is_open_ended else ""
    say(console, f"Trials   {count} by {controller}{own}, scored by {evaluator} in {where}, seed {config.seed}")
    if config.rungs:
        steps = ", ".join(str(level) for level in config.rungs)
        say(console, f"Epochs   successive halving: {steps}; about one of {config.fidelity.reduction} goes on")
    if config.confirm.candidates:
        again = config.confirm
        say(console, f"Confirm  {again.candidates} best and as many others, up to {again.rounds} trainings each")
    say(console, f"Run      {run.path}")
    _log.info("run of %d trials in %s, versions %s", config.trials, run.path, versions())
    _log.info("controller %s with %s", controller, setup.controller_options)


def fitted_words(setup: Setup) -> str:
    """Say which options were fitted to the number of trials."""
    config = setup.config
    fitted = [f"{key} {value}" for key, value in setup.controller_options.items() if key not in config.controller]
    return f" ({', '.join(fitted)})" if fitted else ""


def print_outcome(outcome: Outcome, run: Run, console: Console) -> None:
    """Print the baseline, what it scores and costs, the files written and the next command."""
    failed = sum(trial.status == "failed" for trial in run.trials)
    duration = format_duration(sum(trial.seconds for trial in run.trials))
    best = outcome.baseline
    console.print()
    if outcome.against_b0 is not None:
        print_against_b0(outcome.against_b0, outcome.neighbours, console)
    elif outcome.network is not None:
        show_table(console, stage_table(outcome.network, console.width))
        console.print()
    else:
        say(console, f"choices: {dict(best.choices)}")
    say(console, f"Baseline        trial {best.number} of {len(run.trials):,} ({failed} failed), {duration} of trials")
    if outcome.test_accuracy is not None:
        kind = "short" if outcome.rounds is None else "confirming"
        say(console, f"Test accuracy   {outcome.test_accuracy:.2%} after a {kind} training; never seen by the search")
    if outcome.rounds is not None:
        _print_rounds(outcome.rounds, console)
    if (trust := read_trust(run.path)) is not None:
        noise = trust["smallest_difference"]
        smallest = "" if not noise else f"; differences below {100 * noise:.2f} points mean nothing"
        say(console, f"Trust           Kendall's tau {trust['tau']:.2f} with longer training{smallest} (nas trust)")
    kind = "Validation" if outcome.against_b0 is None else "Search's fit"
    accuracy, reward = best.metrics["accuracy"], outcome.reward
    said = "in the search" if outcome.rounds else f"which the reward {reward:.4f} was computed on"
    say(console, f"{kind:<15} {accuracy:.2%}, {said}")
    if outcome.rounds:
        say(console, f"Reward          {reward:.4f}, of the confirming trainings")
    for name, label in (("macs", "MACs"), ("params", "Params")):
        if name in best.metrics:
            say(console, f"{label:<15} {best.metrics[name]:,}")
    source = "predicted " if run.config.objective.device else ""
    if "latency_ms" in best.metrics:
        measured = "" if outcome.measured_ms is None else f", measured now {outcome.measured_ms:.2f} ms"
        say(console, f"Latency         {source}{best.metrics['latency_ms']:.2f} ms{measured}")
    if "throughput" in best.metrics:
        say(console, f"Throughput      {source}{best.metrics['throughput']:,.0f} images/s")
    say(console, f"Pareto front    {count_words(len(outcome.front), 'network')} (accuracy, MACs, params)")
    say_files(console, [*outcome.files, *([run.path / REPORT] if trust is not None else [])], _COLUMN)
    if outcome.network is not None and run.config.scaling is None:
        if run.config.evaluator["name"] == PROXY:
            say_next(console, "train", run.path, "--data", run.config.data.source, column=_COLUMN)
        say_next(console, "scale", run.path, "--phi", "1,2,3", "--out", "family", column=_COLUMN)
    if outcome.against_b0 is not None:
        say(
            console,
            f"To confirm      {program()} confirm {shlex.quote(str(run.path))} --data DIR   (trains both for real)",
        )


def _print_rounds(rounds: Rounds, console: Console) -> None:
    """Say what the winner was chosen by, and how sure that is."""
    winner, epochs = rounds.winner, "" if rounds.epochs is None else f" of {rounds.epochs} epochs"
    times = f"{len(winner.accuracies)} training{'s' if len(winner.accuracies) > 1 else ''}"
    chance = "" if rounds.noise is None else f", ± {100 * rounds.noise.deviation:.2f} points from seed to seed"
    say(console, f"Confirmed       {winner.mean:.2%} in the mean of {times}{epochs}{chance}")
    best = [one for one in rounds.candidates if not one.spread_out]
    first = max(best, key=lambda one: one.trial.reward or 0, default=winner)
    if first.trial.number != winner.trial.number:
        say(console, f"                trial {first.trial.number}, the search's best, came to {first.mean:.2%}")
    if tied := rounds.tied:
        names = ", ".join(f"{one.trial.number} ({one.mean:.2%})" for one in tied[:5])
        say(console, f"                not told apart from it by more than chance: trials {names}")


def print_interruption(outcome: Outcome | None, run: Run, console: Console) -> None:
    """Say what is safe, what is best so far, and how to go on."""
    console.print()
    say(console, f"Interrupted; {len(run.trials)} finished trials are saved in {run.path}")
    if outcome is not None:
        say(console, f"Best so far: {trial_line(outcome.baseline)}")
    say(console, f"Go on with: {run.resume_command}")
