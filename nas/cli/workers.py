"""What a command trains with: the images, the workers, and the budget's account."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace

from rich.console import Console

from nas.cli.commands.data import progress_bar
from nas.cli.display.output import say
from nas.cli.display.progress import format_duration
from nas.cli.display.search_summary import fitted_words
from nas.evaluate.data.image_data import ImageData
from nas.evaluate.data.load import load_data
from nas.evaluate.workers.jobs import INSTANT_BATCH, open_pool
from nas.evaluate.workers.pool import WorkerPool
from nas.search.assemble import Setup
from nas.search.config import RunConfig
from nas.search.estimate import ESTIMATED, estimate_trial
from nas.search.run_directory import Run
from nas.search.time_budget import TimeAccount, TimeBudget

UNKNOWN_TRIALS = 100  # what an open-ended run prepares for where nobody knows how long a trial takes


def read_images(setup: Setup, console: Console, quiet: bool = False) -> ImageData | None:
    """Load the data where the evaluator needs it, and list the files that could not be read."""
    if not setup.needs_data:
        return None
    with progress_bar(console, quiet) as progress:
        data = load_data(setup.config.data, setup.config.seed, progress)
    if quiet:
        return data
    say(console, f"Data     {setup.config.data.source}: {data.describe()}")
    if data.skipped:
        say(console, f"         {len(data.skipped)} unreadable images are left out:", style="yellow")
        for line in data.skipped[:10]:
            say(console, f"         {line}", style="yellow")
        if len(data.skipped) > 10:
            say(console, f"         ... all {len(data.skipped)} are in run.log", style="yellow")
    return data


def make_pool(
    setup: Setup, data: ImageData | None, console: Console
) -> AbstractContextManager[Callable[[], WorkerPool]]:
    """Return the workers of a search, started when they are first asked for."""
    config = setup.config

    def images() -> ImageData | None:
        return read_images(setup, console) if data is None else data

    batch = INSTANT_BATCH if config.is_instant else 1
    return open_pool(setup.recipe, images, config.workers, config.worker_count, batch)


def open_account(setup: Setup, run: Run, workers: WorkerPool, console: Console) -> TimeAccount:
    """Time a few trainings, say what the budget is good for, and keep that in the run's configuration."""
    config = run.config
    assert config.budget is not None
    time_account = TimeAccount(TimeBudget.parse(config.budget), workers.gpus_per_worker)
    if config.expected_trials is not None:  # the run goes on
        return time_account
    say(console, "Estimate timing a few steps of some networks ...")
    time_account.trial_s = estimate_trial(setup, workers) or 0.0
    affordable = time_account.affords(workers.capacity)
    if affordable is None:
        if config.is_open_ended:
            run.update_config(config.model_copy(update={"expected_trials": UNKNOWN_TRIALS}))
        return time_account
    trials = min(affordable, config.trials)
    parallel, kind = workers.capacity, "GPUs" if 0 < workers.gpus_per_worker == 1 else "workers"
    clock_s = trials * time_account.trial_s / parallel
    say(
        console,
        f"Estimate ≈ {trials:,} trials × {format_duration(time_account.trial_s)} / {parallel} {kind} = "
        f"{format_duration(clock_s)}, by a few steps of {max(ESTIMATED, parallel)} networks; budget {config.budget}",
    )
    run.update_config(config.model_copy(update={"expected_trials": trials}))
    words = fitted_words(replace(setup, config=run.config))
    say(console, f"         {config.controller['name']}{words}") if words else None
    return time_account


def check_budget(config: RunConfig) -> None:
    """Refuse GPU-hours where this machine's trials will use no GPU; what a cluster has is seen when it is joined.

    Raises:
        InputError: if so.
    """
    if config.budget is None or TimeBudget.parse(config.budget).kind != "gpu" or config.workers.address is not None:
        return
    used = not config.is_instant and config.workers.train_device != "cpu" and config.workers.gpus_per_worker != 0
    if used:
        from nas.evaluate.proxy.evaluator import choose_device

        used = choose_device("auto") == "cuda"
    TimeAccount(TimeBudget.parse(config.budget), float(used))
