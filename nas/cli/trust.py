"""The option ``--trust-code`` of the commands that open a run, which may be somebody else's."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Annotated

import typer

TrustCode = Annotated[
    bool, typer.Option("--trust-code", help="Run the Python code that the run keeps, to show what only it can tell.")
]


def opening(trust_code: bool) -> AbstractContextManager[None]:
    """Return the context in which a command opens a run; its code is run only if it is trusted."""
    from nas.core.user_code import trusted_run

    return trusted_run() if trust_code else nullcontext()
