"""Running the trials of a search: the estimate of a time budget, the control, and the loop."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace

from nas.controllers.controller import Controller
from nas.controllers.registry import make_controller
from nas.core.callback import Callback, CallbackList
from nas.core.records import Trial
from nas.core.units import format_duration
from nas.evaluate.workers.jobs import PoolStarter
from nas.evaluate.workers.pool import WorkerPool
from nas.search.assemble import Setup
from nas.search.callback import SearchCallback, SearchState, fitted_words
from nas.search.control import control_seconds, has_control, limits_of, train_control
from nas.search.estimate import ESTIMATED, estimate_trial
from nas.search.loop import SPENT, SearchLoop
from nas.search.run_directory import Run
from nas.search.tally import Tally, most_macs
from nas.search.time_budget import TimeAccount, TimeBudget
from nas.search.warm_start import best_first, gain_words, is_on_other_images

_CONTROL_SHARE = 0.3  # of a time budget, after which no further training of the control begins
_UNKNOWN_TRIALS = 100  # expected trials of an open-ended run if the duration of a trial is not known


def run_trials(
    setup: Setup,
    run: Run,
    pool: PoolStarter,
    callback: Callback,
    callbacks: Sequence[SearchCallback],
) -> str:
    """Run the missing trials. Returns the reason if they ended before all were done, else an empty text."""
    config = setup.config
    if len(run.trials) >= config.trials:
        return ""
    workers = pool()
    time_account = _open_time_account(setup, run, workers, callback) if config.budget else None
    if config.budget:  # the estimate has stored the number of trials that it allows
        expected = {"expected_trials": run.config.expected_trials}
        setup = replace(setup, config=setup.config.model_copy(update=expected))
    _train_control(setup, run, pool, callback, time_account)
    setup = _with_warm_start(setup, run, callback)
    controller = controller_of(setup)
    goal = None if config.is_open_ended else config.trials
    tally = Tally(run.trials, most_macs(config))
    state = SearchState(goal, tally, setup.evaluator.is_instant, time_account, workers.gpus_per_worker)
    loop = SearchLoop(setup, run, controller, workers, CallbackList([_Counter(tally), callback]), time_account)
    for one in callbacks:
        one.trials_started(state)
    try:
        loop()
    finally:
        for one in callbacks:
            one.trials_ended()
    if setup.taken and (words := gain_words(run.trials, setup.taken, str(config.warm_start))):
        callback.message(words)
    if loop.spent:
        return f"The budget of {config.budget} allows no further trial (resume with a larger --budget for more)"
    if not loop.exhausted or len(run.trials) >= config.trials:
        return ""
    listed = setup.domain.listable is not None
    what = "The space holds no further network" if listed else "No further network was found by random draws"
    return f"{what} in the band"


def controller_of(setup: Setup) -> Controller:
    """Return the controller of a run."""
    name = setup.config.controller["name"]
    return make_controller(name, setup.task, setup.config.seed, setup.controller_options)


def _with_warm_start(setup: Setup, run: Run, callback: Callback) -> Setup:
    """Return the setup of a run whose warm start has other images: only the order of its networks is taken over."""
    config, digest = setup.config, None if run.images is None else run.images.digest
    if not setup.earlier or not is_on_other_images(config, digest):
        return setup
    taken = best_first(setup.earlier, setup.domain, config.expected_trials or config.trials)
    callback.message(
        f"Warm start: '{config.warm_start}' has other images, so its accuracies do not compare; its "
        f"{len(taken)} best networks inside this budget are trained first"
    )
    return replace(setup, earlier=(), taken=taken)


def _train_control(setup: Setup, run: Run, pool: PoolStarter, callback: Callback, account: TimeAccount | None) -> None:
    """Train the control before the first trial, if the limits are known by then; its seconds count in the budget."""
    seconds = math.inf if account is None else _CONTROL_SHARE * account.clock_left_s(pool().capacity)
    control = train_control(setup, run, pool, callback, limits_of(setup), seconds)
    if control is None:
        return
    if account is not None:
        run.write(SPENT, json.dumps({"clock_s": account.clock_s}))
        account.took_besides(control_seconds(run.path, before_search=True))
    if all(one.is_default for one in control.networks) and control.refused:
        told = "; ".join(f"{name}: {reason}" for name, reason in control.refused.items())
        callback.warning(f"no stock network can be scaled to this budget, so the search has no control. {told}")


def _open_time_account(setup: Setup, run: Run, workers: WorkerPool, callback: Callback) -> TimeAccount:
    """Open the account of the time budget.

    For a new run, time a few training steps, report how many trials the budget allows, and store the number in the
    configuration.
    """
    config = run.config
    assert config.budget is not None
    account = TimeAccount(TimeBudget.parse(config.budget), workers.gpus_per_worker)
    account.before_s = float(run.read(SPENT).get("clock_s", 0.0))
    if config.expected_trials is not None:  # the run is resumed
        return account
    callback.message("Estimate timing a few steps of some networks ...")
    account.trial_s = estimate_trial(setup, workers) or 0.0
    affordable = account.affords(workers.capacity)
    if affordable is None:
        if config.is_open_ended:
            run.update_config(config.model_copy(update={"expected_trials": _UNKNOWN_TRIALS}))
        return account
    if has_control(setup) and limits_of(setup) is not None:  # the control takes its part first
        affordable = max(1, round(affordable * (1 - _CONTROL_SHARE)))
    trials = min(affordable, config.trials)
    parallel, kind = workers.capacity, "GPUs" if 0 < workers.gpus_per_worker == 1 else "workers"
    clock_s = trials * account.trial_s / parallel
    callback.message(
        f"Estimate ≈ {trials:,} trials × {format_duration(account.trial_s)} / {parallel} {kind} = "
        f"{format_duration(clock_s)}, from a few steps of {max(ESTIMATED, parallel)} networks; budget {config.budget}"
    )
    run.update_config(config.model_copy(update={"expected_trials": trials}))
    if words := fitted_words(replace(setup, config=run.config)):
        callback.message(f"         {config.controller['name']}{words}")
    return account


class _Counter(Callback):
    """Keeps the tally up to date."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally

    def trial_finished(self, trial: Trial, details: str) -> None:  # noqa: ARG002
        self._tally.add(trial)
