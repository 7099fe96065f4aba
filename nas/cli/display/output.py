"""Functions that print the output of commands: stage tables, lists, JSON."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from nas.core.program import program
from nas.core.units import format_quantity
from nas.evaluate.cost.exact import network_cost
from nas.evaluate.cost.stage_table_view import stage_table as plain_stage_table
from nas.search_spaces.network import Network

_quiet: ContextVar[bool] = ContextVar("quiet", default=False)


def _be_quiet(wanted: bool) -> bool:
    """Set whether a command prints only warnings and errors, and return ``wanted``."""
    _quiet.set(wanted)
    return wanted


@contextmanager
def _quietly(wanted: bool) -> Iterator[None]:
    """Print only warnings and errors inside the context if ``wanted`` is true."""
    token = _quiet.set(wanted)
    try:
        yield
    finally:
        _quiet.reset(token)


Quiet = Annotated[
    bool,
    typer.Option("--quiet", "-q", callback=_be_quiet, is_eager=True, help="Print only warnings and errors."),
]


def make_console() -> Console:
    """Return the console of standard output; without a terminal it is 200 characters wide."""
    console = Console(highlight=False, quiet=_quiet.get())
    return console if console.is_terminal else Console(highlight=False, width=200, quiet=_quiet.get())


def warn(console: Console, text: str) -> None:
    """Print a warning, or write it to standard error if the console is quiet."""
    if console.quiet:
        typer.echo(f"warning: {text}", err=True)
    else:
        say(console, f"warning: {text}", style="yellow")


def say(console: Console, text: str, style: str = "") -> None:
    """Print a line without interpreting markup; it wraps between words, and only if a terminal is too narrow."""
    console.print(Text(text, style=style), soft_wrap=not console.is_terminal)


_COLUMN = 9  # column where the text behind a label begins


def say_files(console: Console, files: Iterable[Path | str], column: int = _COLUMN) -> None:
    """Print the names of the files that were written."""
    say(console, f"{'Files':<{column}}{', '.join(map(str, files))}")


def say_next(console: Console, *arguments: str | Path, column: int = _COLUMN) -> None:
    """Print the next command to run, quoted for the shell."""
    command = " ".join(shlex.quote(str(argument)) for argument in arguments)
    say(console, f"{'Next':<{column}}{program()} {command}")


def print_json(data: Any) -> None:
    """Print one JSON document and nothing else."""
    print(json.dumps(data, indent=2))


def show_table(console: Console, table: Table) -> None:
    """Print a table, or one paragraph per row if the terminal is too narrow, so that nothing is cut off."""
    wide = console.options.update(width=1000)
    wraps = any(not column.no_wrap for column in table.columns)
    if wraps or Measurement.get(console, wide, table).maximum <= console.width:
        console.print(table)
        return
    headers = [str(column.header).strip() for column in table.columns]
    for first, *others in zip(*(column.cells for column in table.columns), strict=True):
        shown = [(header, str(cell)) for header, cell in zip(headers[1:], others, strict=True) if str(cell)]
        say(console, f"{first}: " + ", ".join(f"{header} {cell}".strip() for header, cell in shown))


def plain_table(*columns: str, right: tuple[str, ...] = (), wrap: tuple[str, ...] = ()) -> Table:
    """Return an empty table without borders; cells in the columns of ``wrap`` may take several lines."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", no_wrap=column not in wrap)
    return table


_WIDE = 110


def stage_table(network: Network, width: int) -> Table:
    """Return a network's stage table for the terminal, with the cost of every row.

    Args:
        network: the network to print.
        width: width of the terminal in characters; a narrow one gets short headers.
    """
    content = plain_stage_table(network, short=width < _WIDE)
    table = plain_table(*content.columns, right=content.right)
    for row in content.rows:
        table.add_row(*row)
    table.add_section()
    table.add_row(*content.total)
    return table


def describe_network(network: Network) -> str:
    """Return one line with a network's MACs, params, resolution and number of classes."""
    cost = network_cost(network)
    return (
        f"{network.name}: {format_quantity(cost.macs)} MACs, {format_quantity(cost.params)} params, "
        f"counted at {network.resolution} px with {network.classes} classes"
    )
