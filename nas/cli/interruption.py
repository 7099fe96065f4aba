"""Handles Ctrl-C and SIGTERM as a request: the work saves after its current step and ends."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def wish_to_stop() -> Iterator[Callable[[], bool]]:
    """Yield a function that returns whether a stop was requested; a second Ctrl-C or SIGTERM stops at once."""
    wished = False

    def note(_: int, __: FrameType | None) -> None:
        nonlocal wished
        if wished:
            raise KeyboardInterrupt
        wished = True

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: wished
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
