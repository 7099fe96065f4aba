"""The option ``--trust-code`` of the commands that open a run, which may be somebody else's."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

TrustCode = Annotated[
    bool, typer.Option("--trust-code", help="Run the Python code that the run keeps, to show what only it can tell.")
]


def opening(trust_code: bool) -> AbstractContextManager[None]:
    """Return the context in which a command opens a run; its code is run only if it is trusted."""
    from nas.core.user_code import trusted_run

    return trusted_run() if trust_code else nullcontext()


def say_untrusted(console: Console, run: Path, trust_code: bool) -> None:
    """Say that the code of a run was not run, if it names any and is not trusted."""
    from nas.cli.display.output import say
    from nas.search.inputs import inputs_of
    from nas.search.run_directory import read_config

    code = [role for role, one in inputs_of(read_config(run)).items() if one.is_code]
    if code and not trust_code:
        roles = ", ".join(code)
        say(console, f"The run's own code ({roles}) was not run; what only it tells is left out. --trust-code runs it")
