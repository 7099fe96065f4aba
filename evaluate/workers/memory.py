"""A limit on the memory that a trial may add to its process, checked by a background thread."""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import threading
from types import FrameType, TracebackType

_EVERY_S = 0.1


class MemoryLimitExceeded(BaseException):
    """A trial exceeded its memory limit. Not a subclass of ``Exception``, so that user code does not catch it."""


class MemoryWatch:
    """Raises ``MemoryLimitExceeded`` in the main thread when the process has grown by more than a limit.

    Growth is measured from the process's size when the watch is created, after the evaluator and its images are loaded.
    It includes memory that earlier trials left for reuse. If the process is smaller after a trial that exceeded the
    limit, growth is measured from the smaller size. The watch works only in the main thread.

    Args:
        limit_bytes: largest growth in bytes.
    """

    def __init__(self, limit_bytes: float) -> None:
        self.limit_bytes = limit_bytes
        _trim()  # freed memory that would be reused is not part of the size
        self._before = _resident_bytes()
        self._exceeded = False

    def __str__(self) -> str:
        return f"{self.limit_bytes / 1e9:.2f} GB"

    def __enter__(self) -> None:
        """Start the watch. If the last trial exceeded the limit, its memory is first returned to the system."""
        if self._exceeded:
            gc.collect()
            _trim()
            self._before = min(self._before, _resident_bytes())
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
        """Stop the watch."""
        if self._watches:
            self._over.set()
            self._thread.join()
            signal.signal(signal.SIGUSR1, self._previous)
        self._exceeded = kind is MemoryLimitExceeded

    def _look(self, main: int) -> None:
        while not self._over.wait(_EVERY_S):
            if _resident_bytes() - self._before > self.limit_bytes:
                signal.pthread_kill(main, signal.SIGUSR1)
                return


def _resident_bytes() -> int:
    """Return the private memory of this process in bytes: resident pages without shared and file-backed pages."""
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 (read ten times a second)
        fields = file.read().split()
    return (int(fields[1]) - int(fields[2])) * os.sysconf("SC_PAGE_SIZE")


def _on_signal(_: int, __: FrameType | None) -> None:
    raise MemoryLimitExceeded


def _trim() -> None:
    """Return freed memory to the system; does nothing without glibc."""
    library = ctypes.CDLL(None)
    if hasattr(library, "malloc_trim"):
        library.malloc_trim(0)
