"""The option ``--trust-code`` of the commands that open a run, which may be somebody else's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

TrustCode = Annotated[
    bool, typer.Option("--trust-code", help="Run the Python code that the run keeps, to show what only it can tell.")
]


@contextmanager
def untrusted_run(trust_code: bool) -> Iterator[None]:
    """Run no user's code inside the context, unless it is trusted."""
    from nas.core.user_code import without_user_code

    if trust_code:
        yield
        return
    with without_user_code("the code of a run is not run when the run is opened; --trust-code runs it"):
        yield
