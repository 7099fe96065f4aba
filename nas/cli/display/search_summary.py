"""Prints the summaries at the beginning and at the end of a search."""

from __future__ import annotations

import shlex
from pathlib import Path

from rich.console import Console

from nas.cli.display.b0_comparison import print_b0_comparison
from nas.cli.display.output import say, say_files, say_next, show_table, stage_table
from nas.core.program import program
from nas.core.records import Trial
from nas.core.units import count_words, format_duration, format_quantity
from nas.search.assemble import Setup
from nas.search.baseline import Baseline
from nas.search.callback import fitted_words, trial_line
from nas.search.confirmation import Confirmation
from nas.search.result import ControlResult
from nas.search.run_directory import Run
from nas.search_spaces import space as spaces
from nas.studies.proxy_ranking import REPORT, read_trust

_COLUMN = 16  # column where the figures of a baseline begin
_SURROGATE = (
    "ImageNet accuracy is predicted, not trained. The predictor is fitted to about 4,000 networks that Accel-NASBench "
    "trained for 16 epochs. To train on your own images: --data DIR"
)


def announce(setup: Setup, run: Run, console: Console) -> None:
    """Print the settings of a search and the folder of its run."""
    config, objective = setup.config, setup.config.objective
    if config.evaluator_kind.is_predicted:
        say(console, _SURROGATE)
    size = spaces.size(setup.space)
    say(console, f"Space    {setup.space.name}: {size:,} architectures")
    if objective.target_flops is not None:
        target = objective.target_flops
        band = (
            "" if objective.tolerance is None else f", at least {format_quantity((1 - objective.tolerance) * target)}"
        )
        say(console, f"Budget   {format_quantity(target)} MACs{band}; {objective.constraint} reward")
    if ceilings := [limit for limit in setup.limits if limit.metric != "macs" or objective.target_flops is None]:
        say(console, f"Limits   {', '.join(map(str, ceilings))}")
    if setup.costs.device is not None:
        say(console, f"Device   {setup.costs.device.name}: {setup.costs.device.note}")
    where = f"{config.worker_count} Ray workers" if config.worker_count else "this process"
    evaluator, controller = Path(config.evaluator["name"]).name, config.controller["name"]
    open_yet = config.budget is not None and config.expected_trials is None  # printed later, with the estimate
    own = "" if open_yet else fitted_words(setup)
    count = f"as many as {config.budget} allows" if config.is_open_ended else str(config.trials)
    count += f", within {config.budget}," if config.budget and not config.is_open_ended else ""
    say(console, f"Trials   {count} by {controller}{own}, scored by {evaluator} in {where}, seed {config.seed}")
    if config.rungs:
        steps = ", ".join(str(level) for level in config.rungs)
        say(console, f"Epochs   successive halving: {steps}; about 1 in {config.fidelity.reduction} promoted per rung")
    if config.confirm.candidates:
        again = config.confirm
        say(console, f"Confirm  {again.candidates} best and as many others, up to {again.rounds} trainings each")
    say(console, f"Run      {run.path}")


def print_baseline(baseline: Baseline, run: Run, console: Console) -> None:
    """Print the baseline, what it scores and costs, the files written and the next command."""
    failed = sum(trial.status == "failed" for trial in run.trials)
    duration = format_duration(sum(trial.seconds for trial in run.trials))
    best = baseline.trial
    console.print()
    if baseline.b0_comparison is not None:
        print_b0_comparison(baseline.b0_comparison, baseline.neighbours, console)
    elif baseline.network is not None:
        show_table(console, stage_table(baseline.network, console.width))
        console.print()
    else:
        say(console, f"choices: {dict(best.choices)}")
    say(console, f"Baseline        trial {best.number} of {len(run.trials):,} ({failed} failed), {duration} of trials")
    if baseline.test_accuracy is not None:
        kind = "short" if baseline.confirmation is None else "confirming"
        times = baseline.control.trainings if baseline.control is not None else 1
        trained = f"after a {kind} training" if times == 1 else f"after {times} {kind} trainings"
        trained = "with the supernet's weights" if run.config.has_supernet else trained
        metric = run.config.objective.metric
        name = "accuracy" if metric == "accuracy" else "score"
        words = "" if metric == "accuracy" else f" {metric.replace('_', ' ')}"
        say(console, f"Test {name:<11}{baseline.test_accuracy:.2%}{words} {trained}; not used by the search")
    if baseline.confirmation is not None:
        _print_confirmation(baseline.confirmation, console)
    if baseline.control is not None:
        print_control(baseline.control, console)
    if (trust := read_trust(run.path)) is not None:
        noise = trust["smallest_difference"]
        smallest = "" if not noise else f"; differences below {100 * noise:.2f} points are not significant"
        say(console, f"Trust           Kendall's tau {trust['tau']:.2f} with longer training{smallest} (nas trust)")
    kind = "Validation" if baseline.b0_comparison is None else "Search's fit"
    accuracy, reward = best.metrics["accuracy"], baseline.reward
    said = "in the search" if baseline.confirmation else f"used for the reward {reward:.4f}"
    say(console, f"{kind:<15} {accuracy:.2%}, {said}")
    if baseline.confirmation:
        say(console, f"Reward          {reward:.4f}, of the confirming trainings")
    for name, label in (("macs", "MACs"), ("params", "Params")):
        if name in best.metrics:
            say(console, f"{label:<15} {best.metrics[name]:,}")
    source = "predicted " if run.config.objective.device else ""
    if "latency_ms" in best.metrics:
        measured = "" if baseline.measured_ms is None else f", measured here {baseline.measured_ms:.2f} ms"
        elsewhere = f" for another machine ({baseline.predicted_for})" if baseline.predicted_for else ""
        say(console, f"Latency         {source}{best.metrics['latency_ms']:.2f} ms{elsewhere}{measured}")
    if "throughput" in best.metrics:
        say(console, f"Throughput      {source}{best.metrics['throughput']:,.0f} images/s")
    say(console, f"Pareto front    {count_words(len(baseline.front), 'network')} (accuracy, MACs, params)")
    say_files(console, [*baseline.files, *([run.path / REPORT] if trust is not None else [])], _COLUMN)
    if baseline.network is not None and run.config.scaling is None:
        if run.config.proxy is not None or run.config.has_supernet:
            metric = run.config.objective.metric
            chosen_by = [] if metric == "accuracy" else ["--metric", metric]
            say_next(console, "train", run.path, "--data", run.config.data.source, *chosen_by, column=_COLUMN)
        say_next(console, "scale", run.path, "--phi", "1,2,3", "--out", "family", column=_COLUMN)
    if baseline.b0_comparison is not None:
        say(
            console,
            f"To confirm      {program()} confirm {shlex.quote(str(run.path))} --data DIR   (trains both networks)",
        )


def print_control(control: ControlResult, console: Console) -> None:
    """Print whether the baseline is better than the best stock network, and by how much."""
    epochs = "" if control.epochs is None else f" of {control.epochs} epochs"
    times = f"{control.trainings} training{'s' if control.trainings > 1 else ''}{epochs} each"
    say(console, f"Worth it?       {control.verdict}")
    metric = control.metric.replace("_", " ")
    say(
        console,
        f"                {metric} {control.baseline_test:.2%} against {control.best_test:.2%} on "
        f"{control.test_images:,} test images, {times}, 95% interval",
    )
    if control.default_verdict:
        say(console, f"                {control.default_verdict}")
    if control.no_time:
        say(console, f"                there was no time for {', '.join(control.no_time)}")


def _print_confirmation(confirmation: Confirmation, console: Console) -> None:
    """Print how the winner was chosen and how certain the choice is."""
    winner, epochs = confirmation.winner, "" if confirmation.epochs is None else f" of {confirmation.epochs} epochs"
    times = f"{len(winner.accuracies)} training{'s' if len(winner.accuracies) > 1 else ''}"
    chance = "" if confirmation.noise is None else f", ± {100 * confirmation.noise.std:.2f} points from seed to seed"
    say(console, f"Confirmed       {winner.mean:.2%}, mean of {times}{epochs}{chance}")
    best = [one for one in confirmation.candidates if not one.is_control]
    first = max(best, key=lambda one: one.trial.reward or 0, default=winner)
    if first.trial.number != winner.trial.number:
        say(console, f"                trial {first.trial.number}, the best of the search, reached {first.mean:.2%}")
    if tied := confirmation.tied:
        names = ", ".join(f"{one.trial.number} ({one.mean:.2%})" for one in tied[:5])
        say(console, f"                not significantly different from the winner: trials {names}")


def print_interruption(best: Trial | None, run: Run, console: Console) -> None:
    """Print what was saved, the best trial so far, and the command that resumes the run."""
    console.print()
    say(console, f"Interrupted; {len(run.trials)} finished trials are saved in {run.path}")
    if best is not None:
        say(console, f"Best so far: {trial_line(best)}")
    say(console, f"Resume with: {run.resume_command}")
