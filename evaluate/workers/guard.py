"""Evaluation that does not raise: every fault of a trial becomes a failed evaluation with its reason."""

from __future__ import annotations

import signal
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from types import FrameType
from typing import Any

from nas.core.errors import DataGone, shortened
from nas.core.records import Evaluation
from nas.core.user_code import describe, kept_directory, message_of
from nas.evaluate.contract import Diverged, Evaluator, Job, Tested, check_metrics
from nas.evaluate.proxy.paused import checkpoint_path
from nas.evaluate.workers.memory import MemoryLimitExceeded, MemoryWatch

_MOST_TRACEBACK = 20_000  # characters


class TimeLimitExceeded(BaseException):
    """A trial exceeded its time limit. Not a subclass of ``Exception``, so that user code does not catch it."""


def evaluate_safely(
    evaluator: Evaluator, job: Job, timeout_s: float | None, memory: MemoryWatch | None = None
) -> Evaluation:
    """Run one job and return its evaluation; only ``KeyboardInterrupt`` is raised."""
    start = time.perf_counter()

    def failed(fault: str, error: str, details: str = "") -> Evaluation:
        seconds = time.perf_counter() - start
        return Evaluation(job.architecture, "failed", {}, seconds, error, fault, details)

    try:
        with time_limit(timeout_s), kept_directory(), memory or nullcontext():
            found = _call(evaluator, job)
            tested = found if isinstance(found, Tested) else Tested(found)
            metrics = check_metrics(tested.metrics)
    except KeyboardInterrupt:
        raise
    except TimeLimitExceeded:
        return failed("timeout", f"timed out after {timeout_s:g} s")
    except Diverged as error:
        return failed("diverged", f"diverged: {error}")
    except MemoryLimitExceeded:
        return failed("out_of_memory", f"out of memory: the trial took more than its limit of {memory}")
    except DataGone as error:
        return failed("data", str(error))
    except BaseException as error:
        if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
            return failed("out_of_memory", f"out of memory: {_brief(describe(error))}")
        fault = "device" if _broke_device(error) else "exception"
        return failed(fault, describe(error), _own_traceback(error))
    return Evaluation(job.architecture, "ok", metrics, time.perf_counter() - start, correct=tested.correct)


@contextmanager
def time_limit(seconds: float | None) -> Iterator[None]:
    """Raise ``TimeLimitExceeded`` in the main thread when the time is up.

    In other threads this does nothing; only a Ray pool then enforces the limit, by killing the worker.
    """
    if seconds is None or threading.current_thread() is not threading.main_thread():
        yield
        return

    def on_alarm(_: int, __: FrameType | None) -> None:
        raise TimeLimitExceeded

    previous = signal.signal(signal.SIGALRM, on_alarm)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def _broke_device(error: BaseException) -> bool:
    """Return whether an accelerator is unusable for this process from now on, as after a device-side assertion."""
    return type(error).__name__ == "AcceleratorError" or "CUDA error" in message_of(error)


def _brief(text: str) -> str:
    """Return the first two sentences of a torch message; the others are about other processes and settings."""
    sentences, separator, place = text.split(". "), ". ", text.rpartition(" (")
    if len(sentences) <= 2:
        return text
    return separator.join(sentences[:2]) + (f" ({place[2]}" if place[1] else "")


def _own_traceback(error: BaseException) -> str:
    """Return the traceback without its first frames, which are in this file."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    return shortened("".join(traceback.format_exception(type(error), error, trace)), _MOST_TRACEBACK)


def _call(evaluator: Any, job: Job) -> Any:
    import inspect

    method = getattr(evaluator, job.method)
    offered: dict[str, Any] = {"seed": job.seed}
    if job.cycles:
        offered |= {"cycles": job.cycles, "epochs": sum(job.cycles)}
    if job.checkpoint:
        offered |= {"checkpoint": checkpoint_path(job.checkpoint), "pause": job.pause}
    taken = inspect.signature(method).parameters
    return method(job.architecture, job.network, **{name: offered[name] for name in offered if name in taken})
