"""Logging of a search to Weights & Biases, from the driver process only.

All calls to wandb run in a separate thread. A network connection that hangs, a full disk or an error in wandb
affects only the log, not the search.
"""

from __future__ import annotations

import json
import logging
import netrc
import os
import queue
import threading
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, cast
from urllib.parse import urlsplit

from nas.core.callback import Callback
from nas.core.records import Trial
from nas.search.assemble import Setup
from nas.search.callback import SearchCallback
from nas.search.result import Result
from nas.search.run_directory import Run
from nas.search.tally import Tally, most_macs

_log = logging.getLogger("nas")
STATE = "wandb.json"
HOST = "https://api.wandb.ai"
START_S, FINISH_S = 30, 60
Mode = Literal["online", "offline", "disabled", "shared"]
_FILES = ("config.yaml", "trials.jsonl", "front.csv", "baseline.yaml", "result.json", "report.html")
_NUMBERS = ("accuracy", "macs", "params", "latency_ms", "throughput", "memory_bytes", "epochs")


class WandbRun(Callback):
    """Logs the trials of a search; ``close`` logs the tables and files.

    Args:
        run: the run's directory; the log is in its subfolder ``wandb``, and the log's id in ``wandb.json``, so that a
            resumed search continues the same log.

    Attributes:
        fault: reason why logging has stopped; empty while it works.
        mode: ``online``, ``offline`` or ``disabled``.
    """

    def __init__(self, run: Run) -> None:
        self.run, self.fault = run, ""
        self.mode: Mode = "offline"
        self._trials = list(run.trials)
        self._tally = Tally((), most_macs(run.config))
        self._waiting: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._wandb: Any = None
        self._thread = threading.Thread(target=self._work, name="wandb", daemon=True)
        self._thread.start()
        self._waiting.put(self._begin)

    def trial_finished(self, trial: Trial, details: str) -> None:  # noqa: ARG002
        """Log a trial."""
        self._waiting.put(lambda: self._log(trial))

    def close(self, files: Sequence[Path] = ()) -> str:
        """Log the tables and files, and wait at most 90 s; return a message for the user, which may be empty."""
        trials = list(self.run.trials)
        self._waiting.put(lambda: self._conclude(trials, files))
        self._waiting.put(None)
        self._thread.join(FINISH_S + START_S)
        if self._thread.is_alive():
            return f"wandb has not finished; to upload the rest, use wandb sync on {self.run.path / 'wandb'}"
        if self.fault:
            return f"wandb: {self.fault}; the search is not affected"
        if self.mode == "offline":
            return f"wandb logged offline; to upload: wandb sync {self.run.path}/wandb/offline-run-*"
        return ""

    def _work(self) -> None:
        while (task := self._waiting.get()) is not None:
            if self.fault:
                continue
            try:
                task()
            except BaseException as error:  # wandb also raises SystemExit and KeyboardInterrupt itself
                self.fault = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
                _log.info("logging to wandb has stopped: %s", self.fault)

    def _begin(self) -> None:
        """Start the log, and log the trials that earlier processes did not log."""
        import wandb

        known = self.run.read(STATE)
        logged, name = int(known.get("logged") or 0), known.get("id")
        self.mode = choose_mode()
        settings = wandb.Settings(
            silent=True, console="off", init_timeout=START_S, finish_timeout=FINISH_S, disable_git=True
        )
        config = self.run.config
        shared: dict[str, Any] = {
            "project": config.tracking.project,
            "entity": config.tracking.entity,
            "name": self.run.path.resolve().name,
            "resume": "allow",
            "dir": str(self.run.path),
            "config": config.model_dump(mode="json"),
            "reinit": "create_new",
            "save_code": False,
            "settings": settings,
        }
        try:
            self._wandb = wandb.init(**shared, id=name or _new_id(), mode=self.mode)
        except Exception as error:
            if self.mode != "online":
                raise
            _log.info("wandb cannot be reached (%s); logging offline", str(error).splitlines()[0])
            self.mode, logged = "offline", 0
            self._wandb = wandb.init(**shared, id=_new_id(), mode="offline")  # wandb treats the first id as in use
        self._wandb.define_metric("trial")
        self._wandb.define_metric("*", step_metric="trial")
        self._save(logged)
        for trial in self._trials:
            self._log(trial, again=len(self._tally.trials) < logged)

    def _log(self, trial: Trial, again: bool = False) -> None:
        """Add a trial to the tally, and log it unless an earlier process did (``again``)."""
        self._tally.add(trial)
        place = len(self._tally.trials) - 1
        if not again:
            self._wandb.log(self._figures(trial, place), step=place)

    def _figures(self, trial: Trial, place: int) -> dict[str, Any]:
        """Return the values to log for a trial, and the state of the search after it."""
        tally = self._tally
        figures: dict[str, Any] = {name: trial.metrics[name] for name in _NUMBERS if name in trial.metrics}
        figures |= {"trial": place, "number": trial.number, "seconds": trial.seconds, "status": trial.status}
        figures |= {"failed": tally.failed, "pruned": tally.pruned}
        if trial.reward is not None:
            figures["reward"] = trial.reward
        if tally.best is not None:
            figures |= {"best_reward": tally.best.reward, "front_size": len(tally.front)}
            if (volume := tally.volume) is not None:
                figures["hypervolume"] = volume
        return figures

    def _conclude(self, trials: Sequence[Trial], files: Sequence[Path]) -> None:
        import wandb

        self._wandb.log({"trials": _table(trials), "front": _table(self._tally.front)})
        result = Result.read(self.run.path)
        for name in ("accuracy", "test_accuracy", "macs", "params", "reward"):
            if (value := getattr(result, name, None)) is not None:
                self._wandb.summary[f"baseline_{name}"] = value
        artifact = wandb.Artifact(f"search-{self._wandb.id}", type="search")
        for file in files:
            if file.is_file():
                artifact.add_file(str(file), name=file.name)
        self._wandb.log_artifact(artifact)
        self._wandb.finish()
        self._save(len(trials))

    def _save(self, logged: int) -> None:
        self.run.write(STATE, json.dumps({"id": self._wandb.id, "logged": logged}) + "\n")


class WandbCallback(SearchCallback):
    """Logs a search to Weights & Biases if its configuration asks for it; a context manager around the search.

    Args:
        outcome: receives a message at the end on how to upload the log, or a warning with the reason of a failure.
    """

    def __init__(self, outcome: Callback) -> None:
        self._outcome = outcome
        self._log: WandbRun | None = None

    def __enter__(self) -> Self:
        """Return the callback; the log starts later, with the run."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Log the run's tables and files, also after an exception or interrupt."""
        self._end()

    def _end(self) -> None:
        if self._log is None:
            return
        told = self._log.close([self._log.run.path / name for name in _FILES])
        if self._log.fault:
            self._outcome.warning(told)
        elif told:
            self._outcome.message(told)

    def search_prepared(self, setup: Setup, run: Run) -> None:  # noqa: ARG002
        """Start the log, if the configuration asks for it; that of an earlier search ends."""
        self._end()
        self._log = None
        if run.config.tracking.wandb:
            self._log = WandbRun(run)

    def trial_finished(self, trial: Trial, details: str) -> None:
        """Log a trial."""
        if self._log is not None:
            self._log.trial_finished(trial, details)


def choose_mode() -> Mode:
    """Return ``WANDB_MODE`` if it is set; otherwise ``online`` if there is an API key, and ``offline`` if not.

    Without a mode, wandb would prompt for a key and block the search.
    """
    if mode := os.environ.get("WANDB_MODE"):
        return cast(Mode, mode)
    if os.environ.get("WANDB_API_KEY"):
        return "online"
    host = urlsplit(os.environ.get("WANDB_BASE_URL", HOST)).hostname or ""
    try:
        return "online" if netrc.netrc(os.environ.get("NETRC")).authenticators(host) else "offline"
    except (OSError, netrc.NetrcParseError):
        return "offline"


def _new_id() -> str:
    return uuid.uuid4().hex[:8]


def _table(trials: Sequence[Trial]) -> Any:
    import wandb

    names = list(dict.fromkeys(name for trial in trials for name in trial.choices))
    measured = [name for name in _NUMBERS if any(name in trial.metrics for trial in trials)]
    rows = [
        [
            trial.number,
            trial.status,
            trial.reward,
            *(trial.metrics.get(name) for name in measured),
            trial.seconds,
            trial.error,
            *(str(trial.choices.get(name)) for name in names),
        ]
        for trial in trials
    ]
    return wandb.Table(columns=["number", "status", "reward", *measured, "seconds", "error", *names], data=rows)
