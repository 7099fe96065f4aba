"""The log of a run, ``run.log``, and the handling of SIGTERM during a search."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from nas.core.callback import Callback
from nas.core.files import cannot_write
from nas.core.records import Trial
from nas.search.callback import trial_line
from nas.search.run_directory import Run

_log = logging.getLogger("nas")


class LogCallback(Callback):
    """Writes messages, trials and tracebacks to the log.

    With ``terse``, as for instant evaluators, only trials that did not succeed are logged.
    """

    def __init__(self, terse: bool) -> None:
        self._terse = terse

    def message(self, text: str) -> None:
        """Log a message."""
        _log.info("%s", text)

    def trial_finished(self, trial: Trial, details: str) -> None:
        """Log a trial."""
        if not self._terse or trial.status != "ok":
            _log.info("%s", trial_line(trial))
        if details:
            _log.info("%s", details.rstrip())


class _WarningHandler(logging.Handler):
    """Passes the log's warnings on to a callback."""

    def __init__(self, callback: Callback) -> None:
        super().__init__(logging.WARNING)
        self._callback = callback

    def emit(self, record: logging.LogRecord) -> None:
        self._callback.warning(record.getMessage())


@contextmanager
def log_file(run: Run, callback: Callback) -> Iterator[None]:
    """Write the package's log to ``run.log`` and pass its warnings to the callback; close the run at the end.

    Raises:
        WorkError: if the file cannot be written.
    """
    logging.raiseExceptions = False  # on a full disk, logging must not print tracebacks
    try:
        file = logging.FileHandler(run.path / "run.log", encoding="utf-8")
    except OSError as error:
        raise cannot_write(run.path / "run.log", error) from None
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    warnings = _WarningHandler(callback)
    _log.setLevel(logging.INFO)
    for handler in (file, warnings):
        _log.addHandler(handler)
    try:
        yield
    finally:
        for handler in (file, warnings):
            _log.removeHandler(handler)
            handler.close()
        run.close()


@contextmanager
def termination_as_interrupt() -> Iterator[None]:
    """Raise ``KeyboardInterrupt`` on SIGTERM too, so that a terminated search saves its results.

    Only the main thread can set signal handlers; in other threads this context manager does nothing.
    """

    def interrupt(_: int, __: FrameType | None) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
