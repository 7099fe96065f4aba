"""Exceptions in a controller's own code, worded as errors that say how to continue."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from nas.core.errors import InputError, WorkError
from nas.core.program import program
from nas.core.user_code import describe, kept_directory


@contextmanager
def worded_faults(controller: str, method: str, resume_command: str) -> Iterator[None]:
    """Convert an exception in a controller's code into an error that says how to continue.

    Args:
        controller: name of the controller.
        method: the method that is called inside the context.
        resume_command: the command that resumes the run.

    Raises:
        WorkError: with the exception's type, message and line.
    """
    try:
        with kept_directory():
            yield
    except (InputError, WorkError, OSError):
        raise
    except (Exception, SystemExit) as error:
        hint = f"test it with: {program()} check {controller}. Fix it, then: {resume_command}"
        raise WorkError(f"controller {controller}: {method}() raised {describe(error)}; {hint}") from error
