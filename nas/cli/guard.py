"""Turns errors into one message and an exit status, so that a mistake in the input shows no traceback."""

from __future__ import annotations

import errno
import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import typer

from nas.core.errors import InputError, WorkError, shortened
from nas.core.files import expanded

_MOST_CHARACTERS = 2000  # of an error message
INPUT_MISTAKE, WORK_FAILED, INTERRUPTED = 2, 1, 130

_WRONG_PATH = (errno.ENAMETOOLONG, errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP)

P = ParamSpec("P")
R = TypeVar("R")


def guarded(command: Callable[P, R]) -> Callable[P, R]:
    """Wrap a command: input mistakes exit with 2, failed work with 1, interruptions with 130."""

    @functools.wraps(command)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            for name, value in kwargs.items():
                kwargs[name] = _expanded(value)
            return command(*args, **kwargs)
        except InputError as error:
            _fail(str(error), INPUT_MISTAKE)
        except WorkError as error:
            _fail(str(error), WORK_FAILED)
        except KeyboardInterrupt:
            _fail("interrupted", INTERRUPTED)
        except (MemoryError, RuntimeError) as error:
            if not isinstance(error, MemoryError) and "allocate memory" not in str(error):
                raise
            reason = str(error).splitlines()[0][:200] if str(error) else "no memory is left"
            _fail(f"out of memory: {reason}. Use a lower resolution, a smaller batch or network", WORK_FAILED)
        except BrokenPipeError:
            sys.stderr.close()
            raise typer.Exit(WORK_FAILED) from None
        except OSError as error:
            if error.filename is None:
                raise
            status = INPUT_MISTAKE if error.errno in _WRONG_PATH else WORK_FAILED
            _fail(f"{str(error.filename)[:200]}: {error.strerror}", status)
        raise AssertionError("unreachable")

    return wrapper


def _expanded(value: Any) -> Any:
    """Return an option's value with ``~`` expanded, if it is a path or a list of paths."""
    if isinstance(value, list):
        return [_expanded(item) for item in value]
    return expanded(value) if isinstance(value, Path) else value


def _fail(message: str, status: int) -> None:
    told = shortened(message.encode(errors="backslashreplace").decode(), _MOST_CHARACTERS)
    typer.echo(f"error: {told}", err=True)
    raise typer.Exit(status)
