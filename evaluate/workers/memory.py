"""A limit on what a trial may add to its process's memory, kept by a thread that looks on."""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import threading
from types import FrameType, TracebackType

_EVERY_S = 0.1


class MemoryLimitExceeded(BaseException):
    """A trial took more memory than it may. No ``Exception``, so that user code does not swallow it."""


class MemoryWatch:
    """Raises ``MemoryLimitExceeded`` in the main thread when the process has grown by more than a limit.

    Growth is measured from the process's size when the watch is made, after the evaluator and its images. It includes
    what earlier trials left for reuse. If the process shrinks below that size, the smaller size counts.
    The watch does nothing in other threads than the main one.

    Args:
        limit_bytes: how much.
    """

    def __init__(self, limit_bytes: float) -> None:
        self.limit_bytes = limit_bytes
        _trim()  # what was freed before, and would be reused, is no part of the size
        self._before = resident_bytes()
        self._exceeded = False

    def __str__(self) -> str:
        return f"{self.limit_bytes / 1e9:.2f} GB"

    def __enter__(self) -> None:
        """Begin to look; what a trial over the limit held goes back to the system first."""
        if self._exceeded:
            gc.collect()
            _trim()
            self._before = min(self._before, resident_bytes())
        self._over = threading.Event()
        self._watches = threading.current_thread() is threading.main_thread()
        if self._watches:
            self._previous = signal.signal(signal.SIGUSR1, _on_signal)
            main = threading.get_ident()
            self._thread = threading.Thread(target=self._look, args=(main,), daemon=True)
            self._thread.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop looking."""
        if self._watches:
            self._over.set()
            self._thread.join()
            signal.signal(signal.SIGUSR1, self._previous)
        self._exceeded = kind is MemoryLimitExceeded

    def _look(self, main: int) -> None:
        while not self._over.wait(_EVERY_S):
            if resident_bytes() - self._before > self.limit_bytes:
                signal.pthread_kill(main, signal.SIGUSR1)
                return


def resident_bytes() -> int:
    """Return the memory of this process that is its own: resident pages less those it shares with others and files."""
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 (read ten times a second)
        fields = file.read().split()
    return (int(fields[1]) - int(fields[2])) * os.sysconf("SC_PAGE_SIZE")


def _on_signal(_: int, __: FrameType | None) -> None:
    raise MemoryLimitExceeded


def _trim() -> None:
    """Return freed memory to the system; elsewhere than on glibc this does nothing."""
    library = ctypes.CDLL(None)
    if hasattr(library, "malloc_trim"):
        library.malloc_trim(0)
