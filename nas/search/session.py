"""A search from beginning to end: begin or resume a run, run its trials, conclude. It prints nothing."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from nas.core.callback import SILENT, Callback, CallbackList
from nas.core.changes import Changes, laid_over
from nas.core.errors import InputError, WorkError
from nas.core.files import claimed_folder
from nas.core.units import count_words
from nas.core.version import versions
from nas.evaluate.data.announce import announce_images
from nas.evaluate.data.identity import DataIdentity
from nas.evaluate.data.image_data import ImageData
from nas.evaluate.data.load import load_data
from nas.evaluate.supernet.settings import SharedWeightsSettings
from nas.evaluate.workers.jobs import INSTANT_BATCH, PoolStarter, open_pool
from nas.search.assemble import Setup, prepare
from nas.search.baseline import Baseline, conclude
from nas.search.callback import SearchCallback
from nas.search.config import OPEN_ENDED, RunConfig, validate_config
from nas.search.fidelity import RUNGS
from nas.search.inputs import keep_inputs, resolve_inputs
from nas.search.run_directory import Run, check_free
from nas.search.run_log import LogCallback, log_file, termination_as_interrupt
from nas.search.run_trials import controller_of, run_trials
from nas.search.shared_weights import (
    FRONT_WEIGHTS,
    check_images,
    forget_weights,
    keep_weights,
    views_of,
    weights_of_front,
)
from nas.search.time_budget import TimeAccount, TimeBudget
from nas.search_spaces import space as spaces
from nas.weights.names import WEIGHTS

_log = logging.getLogger("nas")
_FEW_IMAGES = 100  # with fewer validation images, one image changes accuracies by more than 1%


class SearchInterrupted(KeyboardInterrupt):
    """Raised when a search was interrupted. Its finished trials are saved, and the callbacks have been called."""


@dataclass(frozen=True)
class Together:
    """What several searches share.

    Attributes:
        images: their images.
        pool: returns their workers.
    """

    images: ImageData | None
    pool: PoolStarter


def begin(
    config: RunConfig,
    out: Path | None,
    callbacks: Sequence[SearchCallback] = (),
    together: Together | None = None,
) -> tuple[Run, Baseline]:
    """Begin a run and conclude it.

    Args:
        config: the configuration, with absolute paths.
        out: the run's directory, which must be empty or absent; ``None``: ``runs/SPACE-TIME``.
        callbacks: callbacks that observe the search.
        together: images and workers of several searches; ``None``: the search has its own.

    Raises:
        InputError: if the configuration has a mistake, before any work.
        WorkError: if the work fails; the finished trials are kept.
        SearchInterrupted: if the search is interrupted, after its trials are saved.
    """
    now = datetime.now().astimezone()
    setup = prepare(config)
    workers = config.workers.model_copy(update={"count": setup.worker_count})
    config = setup.config.model_copy(update={"workers": workers})
    setup = replace(setup, config=config)
    path = out or Path("runs") / f"{setup.space.name}-{now:%Y%m%d-%H%M%S}"
    if out is not None:
        check_free(out)
    controller_of(setup)  # mistakes in its options are reported before anything is written
    _check_time_budget(config)
    data = read_images(setup, CallbackList(callbacks)) if together is None else together.images
    identity = None if data is None else DataIdentity.of(data)
    run = Run.create(
        path if out is not None else claimed_folder(path),
        config,
        versions(),
        now.isoformat(timespec="seconds"),
        identity,
    )
    try:
        return run, _run_and_conclude(setup, run, data, callbacks, together)
    except InputError:
        run.discard()
        raise


def resume(
    path: Path,
    changes: Changes,
    callbacks: Sequence[SearchCallback] = (),
    accept_changes: bool = False,
    trust_code: bool = False,
    together: Together | None = None,
) -> tuple[Run, Baseline]:
    """Run the missing trials of a run, and conclude it again.

    Trials that failed are run again if no trial has succeeded, or if the evaluator or the space was edited.

    Args:
        path: the run's directory.
        changes: what differs from the run's configuration, by section: ``{"trials": 200, "workers": {"count": 4}}``.
        callbacks: callbacks that observe the search.
        accept_changes: whether to go on with a space, evaluator or controller that was edited since the run began.
        trust_code: whether to run the copies of the user's code in the run's directory if the originals are gone.
        together: as in ``begin``.

    Raises:
        InputError: if there is no run, the changes do not fit it, or its inputs or images have changed.
        WorkError, SearchInterrupted: as ``begin``.
    """
    run = Run.open(path)
    callback = CallbackList(callbacks)
    begun = any(trial.status != "failed" for trial in run.trials) or bool(run.rows(RUNGS))
    inputs = resolve_inputs(path, run.config, accept_changes, trust_code, nothing_to_lose=not begun)
    config = _changed(inputs.config, changes)
    failed = sum(trial.status == "failed" for trial in run.trials)
    again = failed if not begun or inputs.edited & {"evaluator", "space"} else 0
    left = config.trials - len(run.trials) + again
    if config.trials < len(run.trials):
        raise InputError(f"--trials: the run already has {len(run.trials)} trials, more than {config.trials}")
    setup = prepare(config, resumed=True)
    _check_space(setup, run)
    for line in inputs.messages:
        callback.message(line)
    count = "" if config.is_open_ended else f" of {config.trials}"
    words = f"; {count_words(again, 'failed trial')} will be run again" if again else ""
    callback.message(f"Resuming {run.path}: {len(run.trials) - again}{count} trials are done{words}")
    if together is not None:
        data = together.images
    else:
        data = read_images(setup, callback, run.keep_images) if left > 0 else None
    if again:
        run.set_failed_aside()
    if inputs.edited:
        keep_inputs(path, config)
    kept = {name: getattr(config, name) for name in ("trials", "budget", "confirm", "control", "report", "tracking")}
    if any(getattr(run.config, name) != value for name, value in kept.items()):
        run.update_config(run.config.model_copy(update=kept))  # changes of ``workers`` hold for this process only
    return run, _run_and_conclude(setup, run, data, callbacks, together)


def read_images(
    setup: Setup, callback: Callback, check: Callable[[DataIdentity], None] | None = None
) -> ImageData | None:
    """Load the images if the evaluator trains; the callback receives what the user should know about them.

    Args:
        setup: the parts of the run.
        callback: receives the progress, a message and warnings.
        check: called with the identity of the images; raises if they are not those of the run.

    Raises:
        InputError: if they cannot be used.
    """
    if not setup.evaluator.needs_data:
        return None
    views = None if setup.recipe.shared is None else views_of(setup.recipe.shared)
    data = load_data(setup.config.data, callback.images_decoded, views)
    if check is not None:
        check(DataIdentity.of(data))
    if setup.recipe.shared is not None:
        check_images(setup.recipe.shared, data, setup.config.data.source)
    announce_images(data, setup.config.data.source, callback)
    return data


def search_pool(
    setup: Setup,
    data: ImageData | None,
    callback: Callback,
    check: Callable[[DataIdentity], None] | None = None,
) -> AbstractContextManager[PoolStarter]:
    """Return a context that yields a function; its first call starts the workers of the search.

    If no ``data`` is given, the images are loaded then, as by ``read_images``.
    """
    config = setup.config

    def images() -> ImageData | None:
        return read_images(setup, callback, check) if data is None else data

    batch = INSTANT_BATCH if setup.evaluator.is_instant else 1
    return open_pool(setup.recipe, images, config.workers, setup.worker_count, batch)


def _check_time_budget(config: RunConfig) -> None:
    """Check that a budget in GPU-hours is not given for trials on this machine that use no GPU.

    The GPUs of a cluster are known only after joining it, so they are not checked here.

    Raises:
        InputError: if such a budget is given.
    """
    if config.budget is None:
        return
    budget = TimeBudget.parse(config.budget)
    if budget.kind != "gpu" or config.workers.address is not None:
        return
    used = (
        not config.evaluator_kind.is_instant
        and config.workers.train_device != "cpu"
        and config.workers.gpus_per_worker != 0
    )
    if used:
        from nas.evaluate.proxy.evaluator import choose_device

        used = choose_device("auto") == "cuda"
    TimeAccount(budget, float(used))


def _changed(config: RunConfig, changes: Changes) -> RunConfig:
    data = laid_over(config.model_dump(mode="json"), changes)
    if "budget" in changes and config.budget is None and "trials" not in changes:
        data["trials"] = OPEN_ENDED
    changed = validate_config(data, "--resume")
    if config.workers.deterministic and changed.worker_count != config.worker_count:
        raise InputError(f"--workers: a deterministic run keeps its {config.worker_count} workers")
    return changed


def _check_space(setup: Setup, run: Run) -> None:
    """Check that the space is still the one that the run's trials belong to.

    Raises:
        InputError: naming the first trial that does not fit it.
    """
    for trial in run.trials:
        try:
            spaces.check(setup.space, trial.architecture)
            now = json.loads(json.dumps(spaces.choices(setup.space, trial.architecture)))
            if now != trial.choices:
                changed = sorted(key for key in {*now, *trial.choices} if now.get(key) != trial.choices.get(key))
                raise InputError(f"its choices have changed: {', '.join(changed[:3])}")
        except InputError as error:
            raise InputError(
                f"resume: space '{setup.config.space}' has changed since this run began: trial {trial.number}: "
                f"{error}. Restore the space, or begin a new run, optionally with --warm-start"
            ) from None


def _run_and_conclude(
    setup: Setup,
    run: Run,
    data: ImageData | None,
    callbacks: Sequence[SearchCallback],
    together: Together | None,
) -> Baseline:
    callback = CallbackList([LogCallback(setup.evaluator.is_instant), *callbacks])
    own = nullcontext(together.pool) if together is not None else None
    workers = own or search_pool(setup, data, callback, run.keep_images)
    with log_file(run, callback), termination_as_interrupt(), workers as pool:
        for line in data.skipped if data else ():
            _log.info("unreadable image left out: %s", line)
        _log.info("run of %d trials in %s, versions %s", setup.config.trials, run.path, versions())
        _log.info("controller %s with %s", setup.config.controller["name"], setup.controller_options)
        for one in callbacks:
            one.search_prepared(setup, run)
        if setup.recipe.shared is not None:
            forget_weights(run.path)
        try:
            if reason := run_trials(setup, run, pool, callback, callbacks):
                callback.message(f"{reason}: the search ends after {len(run.trials)} trials")
            baseline = conclude(setup, run, pool, callback)
            if setup.recipe.shared is not None and baseline is not None:
                baseline = _with_weights(setup, run, data, baseline, setup.recipe.shared)
        except KeyboardInterrupt:
            best = conclude(setup, run, None)
            for one in callbacks:
                one.search_interrupted(run, None if best is None else best.trial)
            raise SearchInterrupted from None
        except WorkError as error:
            hint = "" if "--resume" in str(error) else f". To resume: {run.resume_command}"
            raise WorkError(f"{error}{hint}") from None
        if not run.trials:
            raise WorkError(f"no network of space '{setup.space.name}' can be evaluated; {run.path}/run.log says why")
        if baseline is None:
            reasons = sorted({str(trial.error) for trial in run.trials})
            raise WorkError(f"none of the {len(run.trials)} trials succeeded: {'; '.join(reasons[:3])}")
        if data is not None and setup.recipe.proxy is not None:
            _warn_of_chance(baseline.trial.metrics["accuracy"], data, callback)
    return baseline


def _with_weights(
    setup: Setup, run: Run, data: ImageData | None, baseline: Baseline, shared: SharedWeightsSettings
) -> Baseline:
    """Write the inherited weights of the baseline and of the front, and return the baseline with their files."""
    images = data or read_images(setup, SILENT)
    if images is None or baseline.network is None:
        return baseline
    names = weights_of_front(baseline.trial.number, baseline.front)
    kept = {baseline.trial.number: (baseline.trial.architecture, baseline.network)}
    for trial in baseline.front:
        if trial.number not in kept and (network := spaces.decode(setup.space, trial.architecture)) is not None:
            name = f"{run.path.resolve().name}-trial-{trial.number}"
            kept[trial.number] = trial.architecture, replace(network, name=name)
    files = {run.path / names[number]: found for number, found in kept.items()}
    keep_weights(files, shared, setup.space, images, setup.config.workers.train_device)
    run.write_front(baseline.front, names)
    written = [run.path / WEIGHTS, *([run.path / FRONT_WEIGHTS] if len(files) > 1 else [])]
    return replace(baseline, files=[*baseline.files, *written])


def _warn_of_chance(accuracy: float, data: ImageData, callback: Callback) -> None:
    """Warn if the best network is no better than guessing, or if accuracies come from very few images."""
    chance, images = 1 / len(data.classes), len(data.validation.labels)
    if accuracy < chance + 2 * math.sqrt(chance * (1 - chance) / images):
        callback.warning(
            f"the best network's {accuracy:.1%} is no better than guessing ({chance:.1%} of {images} images): train "
            "longer (--set evaluator.epochs=10), or on more images"
        )
    elif images < _FEW_IMAGES:
        callback.warning(f"accuracies are from {images} validation images: one image changes them by {1 / images:.1%}")
