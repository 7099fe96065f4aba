"""The commands, their options, defaults and configuration keys are a promise: ``surface.txt`` holds them.

A change made on purpose is written down with ``python -m tests.cli.test_surface``, and shows in the diff.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from nas.cli.app import app

SURFACE = Path(__file__).parent / "surface.txt"


def test_the_surface_is_what_is_written_down() -> None:
    assert surface() == SURFACE.read_text().splitlines()


def test_every_option_says_what_it_does() -> None:
    silent = [
        f"{name} {option.opts[0]}"
        for name, command in commands(typer.main.get_command(app))
        for option in parameters(command)
        if option.param_type_name == "option" and not option.help
    ]
    assert not silent


def surface() -> list[str]:
    """Return one line for each command, argument and option."""
    lines = ["# command or option | default | configuration key"]
    for name, command in commands(typer.main.get_command(app)):
        lines += ["", f"nas {name}"]
        keys = {option.parameter: option for option in getattr(command, "config_options", list)()}
        found = sorted(parameters(command), key=lambda one: (one.param_type_name == "option", one.opts[0]))
        for parameter in found:
            if parameter.param_type_name == "argument":
                lines.append(f"    {parameter.name.upper()}")
            elif "--help" not in parameter.opts:
                names = " ".join([*parameter.opts, *parameter.secondary_opts])
                option = keys.get(parameter.name)
                default = parameter.default if option is None else option.default
                columns = [names, _shown(default), "" if option is None else option.key]
                lines.append(f"    {' | '.join(columns).rstrip(' |')}")
    return lines


def parameters(command: Any) -> list[Any]:
    """Return the arguments and options of a command, those of the configuration too."""
    return list(command.get_params(command.context_class(command)))


def commands(group: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every command by its name, those of groups too."""
    for name, command in sorted(group.commands.items()):
        if hasattr(command, "commands"):
            yield from commands(command, f"{before}{name} ")
        else:
            yield before + name, command


def _shown(default: Any) -> str:
    return "unset" if default is None or default is ... else str(default)


if __name__ == "__main__":
    SURFACE.write_text("\n".join(surface()) + "\n")
