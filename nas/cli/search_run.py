"""What ``nas search`` does: start a run or go on with one, watch it, and print what came of it."""

from __future__ import annotations

import json
import logging
import math
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Any

import typer
from rich.console import Console

from nas.cli.commands.report import draw_report
from nas.cli.display.output import make_console, say, warn
from nas.cli.display.progress import SearchProgress, trial_line
from nas.cli.display.search_summary import announce, print_interruption, print_outcome
from nas.cli.guard import INTERRUPTED
from nas.cli.workers import check_budget, make_pool, open_account, read_images
from nas.controllers.controller import Controller
from nas.controllers.registry import make_controller
from nas.core.errors import InputError, WorkError
from nas.core.files import cannot_write
from nas.core.records import Trial
from nas.core.version import versions
from nas.evaluate.data.image_data import ImageData
from nas.evaluate.workers.pool import WorkerPool
from nas.search.assemble import Setup, prepare
from nas.search.baseline import Outcome, conclude
from nas.search.config import OPEN_ENDED, RunConfig, load_config, validate_config, with_absolute_paths
from nas.search.loop import SearchLoop, Watcher
from nas.search.run_directory import Run, check_free
from nas.search.tally import Tally, most_macs
from nas.search_spaces import space as spaces

_log = logging.getLogger("nas")
FEW_IMAGES = 100  # of which one more or less tells two networks apart


def start(reference: str | None, changes: Mapping[str, Any], assignments: Sequence[str], out: Path | None) -> None:
    """Begin a new run.

    Raises:
        InputError: before any work, for whatever cannot work.
        WorkError: if the work fails.
    """
    begin(with_absolute_paths(load_config(reference, changes, assignments)), out)


def begin(config: RunConfig, out: Path | None) -> tuple[Run, Outcome]:
    """Begin a new run of a configuration; return it with what came of it.

    Raises:
        InputError, WorkError: as ``start``.
    """
    config = config.model_copy(update={"workers": config.workers.model_copy(update={"count": config.worker_count})})
    now = datetime.now().astimezone()
    setup = prepare(config)
    path = out or Path("runs") / f"{setup.space.name}-{now:%Y%m%d-%H%M%S}"
    check_free(path)
    _make_controller(setup)  # its mistakes are told before anything is written
    check_budget(config)
    console = make_console()
    data = read_images(setup, console)
    run = Run.create(path, config, versions(), now.isoformat(timespec="seconds"))
    try:
        return run, _execute(setup, run, data, console)
    except InputError:
        run.discard()
        raise


def go_on(path: Path, changes: Mapping[str, Any]) -> tuple[Run, Outcome]:
    """Go on with a run's directory; return it with what came of it.

    Raises:
        InputError: if it is none, or the changes do not fit.
        WorkError: if the work fails.
    """
    run = Run.open(path)
    config = _changed(run.config, changes)
    if config.trials < len(run.trials):
        raise InputError(f"--trials: the run already has {len(run.trials)} trials, more than {config.trials}")
    setup = prepare(config, resumed=True)
    _check_space(setup, run)
    kept = {name: getattr(config, name) for name in ("trials", "budget", "confirm", "report", "tracking")}
    if any(getattr(run.config, name) != value for name, value in kept.items()):
        run.update_config(run.config.model_copy(update=kept))  # where trials run is for this time alone
    console = make_console()
    count = "" if config.is_open_ended else f" of {config.trials}"
    say(console, f"Going on with {run.path}: {len(run.trials)}{count} trials are done")
    data = read_images(setup, console) if len(run.trials) < config.trials else None
    return run, _execute(setup, run, data, console)


def _check_space(setup: Setup, run: Run) -> None:
    """Check that the space is still the one that the run's trials are of.

    Raises:
        InputError: with the first trial that it does not fit.
    """
    for trial in run.trials:
        try:
            spaces.check(setup.space, trial.architecture)
            now = json.loads(json.dumps(spaces.choices(setup.space, trial.architecture)))
            if now != trial.choices:
                changed = sorted(key for key in {*now, *trial.choices} if now.get(key) != trial.choices.get(key))
                raise InputError(f"its choices were others: {', '.join(changed[:3])}")
        except InputError as error:
            raise InputError(
                f"resume: space '{setup.config.space}' has changed since this run began: trial {trial.number}: "
                f"{error}. Put it back, or begin a new run, if you like with --warm-start"
            ) from None


def _make_controller(setup: Setup) -> Controller:
    name = setup.config.controller["name"]
    return make_controller(name, setup.task, setup.config.seed, setup.controller_options)


def _changed(config: RunConfig, changes: Mapping[str, Any]) -> RunConfig:
    data = config.model_dump(mode="json")
    for key, value in changes.items():
        section, _, name = key.rpartition(".")
        (data[section] if section else data)[name] = value
    if "budget" in changes and config.budget is None and "trials" not in changes:
        data["trials"] = OPEN_ENDED
    changed = validate_config(data, "--resume")
    if config.workers.deterministic and changed.worker_count != config.worker_count:
        raise InputError(f"--workers: a deterministic run keeps its {config.worker_count} workers")
    return changed


def _execute(setup: Setup, run: Run, data: ImageData | None, console: Console) -> Outcome:
    """Run the trials that are missing, conclude, and print."""
    with _followed(run, console) as followers:
        outcome = _concluded(setup, run, data, console, followers)
        if setup.config.scaling is None:  # a grid search has not named its family yet
            outcome.files.extend(draw_report(run.path, console) if run.config.report else [])
        print_outcome(outcome, run, console)
    return outcome


@contextmanager
def _followed(run: Run, console: Console) -> Iterator[list[Watcher]]:
    """Give those who follow the search from elsewhere, and let them end in any case."""
    if not run.config.tracking.wandb:
        yield []
        return
    from nas.tracking.wandb_run import WandbRun

    follower = WandbRun(run)
    try:
        yield [follower]
    finally:
        names = ("config.yaml", "trials.jsonl", "front.csv", "baseline.yaml", "result.json", "report.html")
        told = follower.close([run.path / name for name in names])
        if follower.fault:
            warn(console, told)
        elif told:
            say(console, told)


def _concluded(
    setup: Setup, run: Run, data: ImageData | None, console: Console, followers: Sequence[Watcher]
) -> Outcome:
    """Run the trials that are missing and name the baseline.

    Raises:
        typer.Exit: if somebody interrupted.
        WorkError: if the work failed, or no trial succeeded.
    """
    with _logging(run, console), _termination_as_interrupt(), make_pool(setup, data, console) as pool:
        for line in data.skipped if data else ():
            _log.info("unreadable image left out: %s", line)
        announce(setup, run, console)
        try:
            if ended := _run_trials(setup, run, pool, console, followers):
                say(console, f"{ended}: the search ends after {len(run.trials)} trials")
            outcome = conclude(setup, run, pool, lambda text: _tell(console, text))
        except KeyboardInterrupt:
            print_interruption(conclude(setup, run, None), run, console)
            raise typer.Exit(INTERRUPTED) from None
        except WorkError as error:
            hint = "" if "--resume" in str(error) else f". Then: {run.resume_command}"
            raise WorkError(f"{error}{hint}") from None
    if not run.trials:
        raise WorkError(f"no network of space '{setup.space.name}' can be evaluated; {run.path}/run.log says why")
    if outcome is None:
        reasons = sorted({str(trial.error) for trial in run.trials})
        raise WorkError(f"none of the {len(run.trials)} trials succeeded: {'; '.join(reasons[:3])}")
    if data is not None and setup.recipe.proxy is not None:
        _warn_of_chance(outcome, data, console)
    return outcome


def _warn_of_chance(outcome: Outcome, data: ImageData, console: Console) -> None:
    """Say so where the best network is no better than guessing, or accuracies are of very few images."""
    chance, images = 1 / len(data.classes), len(data.validation.labels)
    accuracy = outcome.baseline.metrics["accuracy"]
    if accuracy < chance + 2 * math.sqrt(chance * (1 - chance) / images):
        warn(
            console,
            f"the best network's {accuracy:.1%} is no better than guessing ({chance:.1%} of {images} images): train "
            "longer (--set evaluator.epochs=10), or on more images",
        )
    elif images < FEW_IMAGES:
        warn(console, f"accuracies are of {images} validation images: one more or less is {1 / images:.1%}")


def _run_trials(
    setup: Setup, run: Run, pool: Callable[[], WorkerPool], console: Console, followers: Sequence[Watcher]
) -> str:
    """Run what is missing and say why it ended before all trials were done, if it did."""
    config = setup.config
    if len(run.trials) >= config.trials:
        return ""
    workers = pool()
    time_account = open_account(setup, run, workers, console) if config.budget else None
    setup = replace(setup, config=run.config) if config.budget else setup
    controller = _make_controller(setup)
    goal = None if config.is_open_ended else config.trials
    tally = Tally(run.trials, most_macs(config))
    with SearchProgress(console, goal, tally, config.is_instant, time_account, workers.gpus_per_worker) as progress:
        loop = SearchLoop(setup, run, controller, workers, _Everyone(progress, followers), time_account)
        loop()
    if loop.spent:
        return f"The budget of {config.budget} allows no further trial (a larger --budget with --resume does)"
    if not loop.exhausted or len(run.trials) >= config.trials:
        return ""
    listed = setup.domain.listable is not None
    what = "The space holds no further network" if listed else "No further network was found by random draws"
    return f"{what} in the band"


def _tell(console: Console, text: str) -> None:
    say(console, text)
    _log.info("%s", text)


class _Everyone:
    """Passes the loop's events on to the terminal and the followers, and writes them to the log."""

    def __init__(self, progress: SearchProgress, followers: Sequence[Watcher]) -> None:
        self._progress, self._followers = progress, followers
        self.started, self.tick = progress.started, progress.tick

    def finished(self, trial: Trial, details: str) -> None:
        self._progress.finished(trial, details)
        for follower in self._followers:
            follower.finished(trial, details)
        if not self._progress.terse or trial.status != "ok":
            _log.info("%s", trial_line(trial))
        if details:
            _log.info("%s", details.rstrip())


@contextmanager
def _logging(run: Run, console: Console) -> Iterator[None]:
    """Write the package's log to ``run.log`` and its warnings to the terminal too."""
    logging.raiseExceptions = False  # a full disk must not print tracebacks of the log's own
    try:
        file = logging.FileHandler(run.path / "run.log", encoding="utf-8")
    except OSError as error:
        raise cannot_write(run.path / "run.log", error) from None
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    terminal = _ConsoleHandler(console)
    _log.setLevel(logging.INFO)
    for handler in (file, terminal):
        _log.addHandler(handler)
    try:
        yield
    finally:
        for handler in (file, terminal):
            _log.removeHandler(handler)
            handler.close()
        run.close()


class _ConsoleHandler(logging.Handler):
    def __init__(self, console: Console) -> None:
        super().__init__(logging.WARNING)
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        warn(self._console, record.getMessage())


@contextmanager
def _termination_as_interrupt() -> Iterator[None]:
    """Treat SIGTERM like Ctrl-C: save, say how to go on, leave."""

    def interrupt(_: int, __: FrameType | None) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # of a program that uses us
        yield
        return
    previous = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
