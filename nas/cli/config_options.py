"""Command-line options generated from the configuration's fields, so that each option is declared only once."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer
from typer.core import TyperCommand
from typer.main import get_command

from nas.cli import completion
from nas.core.units import parse_number, parse_whole

if TYPE_CHECKING:
    from pydantic import BaseModel

    from nas.core.flag import Flag

_GRID = "scaling"  # the section that ``nas scale --fit`` fills
_GIVEN = "nas.given"  # key of a context's ``meta`` under which the given values are stored


@dataclass(frozen=True, slots=True)
class ConfigOption:
    """A command-line option that sets a key of the configuration.

    Attributes:
        path: the configuration's key, one name per level.
        flag: the option's name and how ``--help`` shows it.
        type: type of the value on the command line; ``str`` for quantities with units.
        help: the help text.
        default: the configuration's default; ``None`` if there is none.
    """

    path: tuple[str, ...]
    flag: Flag
    type: type
    help: str
    default: Any

    @property
    def key(self) -> str:
        """The configuration's key, dotted."""
        return ".".join(self.path)

    @property
    def parameter(self) -> str:
        """The name of the option's value in the command's ``params``."""
        return f"config_{'_'.join(self.path)}"

    @property
    def name(self) -> str:
        """The option's name on the command line, such as ``--trials``."""
        return self.flag.name.partition("/")[0]


def run_config() -> type[BaseModel]:
    """Load the class of a search's configuration."""
    from nas.search.config import RunConfig

    return RunConfig


@cache
def config_options(model: Callable[[], type[BaseModel]]) -> dict[str, ConfigOption]:
    """Return every option of a configuration by its dotted key.

    Args:
        model: a function that loads the configuration class.
    """
    return {option.key: option for option in _options_of(model(), ())}


def given(context: typer.Context) -> dict[str, Any]:
    """Return the values that a command was given, by section: ``{"trials": 40, "workers": {"count": 2}}``."""
    changes: dict[str, Any] = {}
    for option, value in context.meta[_GIVEN]:
        here = changes
        for section in option.path[:-1]:
            here = here.setdefault(section, {})
        here[option.path[-1]] = value
    return changes


def given_options(context: typer.Context) -> list[ConfigOption]:
    """Return the options that a command was given."""
    return [option for option, _ in context.meta[_GIVEN]]


def with_config_options(
    model: Callable[[], type[BaseModel]], panels: Mapping[str, str | None] | None = None, before_help: str = ""
) -> type[TyperCommand]:
    """Return a command class that takes options of a configuration in addition to its own options.

    The configuration's options are created when the command is parsed or its help is shown, so other commands do not
    load the configuration.

    Args:
        model: a function that loads the configuration class.
        panels: the dotted keys of the options, each with its help panel (``None``: the default panel). If unset, the
            command takes all options except those of the scaling grid, in the panels that their fields declare.
        before_help: text to put before the help of each option.
    """

    def chosen() -> list[tuple[ConfigOption, str | None]]:
        options = config_options(model)
        if panels is None:
            return [(option, option.flag.panel) for option in options.values() if option.path[0] != _GRID]
        return [(options[key], panel) for key, panel in panels.items()]

    class ConfigCommand(TyperCommand):
        """A command with options of a configuration."""

        @staticmethod
        def config_options() -> list[ConfigOption]:
            """Return the options that the command takes from the configuration."""
            return [option for option, _ in chosen()]

        def get_params(self, ctx: Any) -> list[Any]:
            own = super().get_params(ctx)
            return [*_parameters(chosen(), before_help), *own]

        def invoke(self, ctx: Any) -> Any:
            values = [(option, ctx.params.pop(option.parameter, None)) for option, _ in chosen()]
            ctx.meta[_GIVEN] = [(option, _plain(value)) for option, value in values if value is not None]
            return super().invoke(ctx)

    return ConfigCommand


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


def _parameters(options: Sequence[tuple[ConfigOption, str | None]], before_help: str) -> list[Any]:
    """Return the options as typer parameters, built from the signature of a function that is never called."""
    parameters = []
    for option, panel in options:
        made = typer.Option(
            option.flag.name,
            parser=_PARSERS.get(option.type),
            metavar=_METAVARS.get(option.type),
            help=before_help + option.help,
            rich_help_panel=panel,
            autocompletion=getattr(completion, option.flag.completion) if option.flag.completion else None,
        )
        kind = inspect.Parameter.KEYWORD_ONLY
        annotation = Annotated[option.type | None, made]  # type: ignore[name-defined]
        parameters.append(inspect.Parameter(option.parameter, kind, default=None, annotation=annotation))

    def never_called() -> None: ...

    never_called.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    never_called.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    application = typer.Typer(add_completion=False)
    application.command()(never_called)
    return list(get_command(application).params)


def _options_of(model: type[BaseModel], before: tuple[str, ...]) -> Iterator[ConfigOption]:
    """Yield the options of a section, and of the sections in it, in the order of the fields."""
    from pydantic import BaseModel, BeforeValidator

    from nas.core.flag import Flag

    for name, field in model.model_fields.items():
        for kind in (field.annotation, *get_args(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from _options_of(kind, (*before, name))
        for flag in field.metadata:
            if not isinstance(flag, Flag):
                continue
            path = (*before, name, flag.key) if flag.key else (*before, name)
            plain = next((kind for kind in (field.annotation, *get_args(field.annotation)) if kind in _PLAIN), str)
            is_text = flag.key or any(isinstance(one, BeforeValidator) for one in field.metadata)
            kind = Path if flag.is_path else str if is_text else plain
            text = flag.help or " ".join((field.description or "").replace("``", "").split())
            default = None if field.is_required() else field.get_default(call_default_factory=True, validated_data={})
            if flag.key:
                default = getattr(model(), name, {}).get(flag.key)
            yield ConfigOption(path, flag, kind, text, default)


_PLAIN = (bool, int, float, str)


def _read_whole(text: str) -> int:
    try:
        return parse_whole(text)
    except ValueError:
        raise typer.BadParameter(f"expected a whole number such as 200, 5_000 or 2e3, got '{text[:60]}'") from None


def _read_number(text: str) -> float:
    try:
        return parse_number(text)
    except ValueError:
        raise typer.BadParameter(f"expected a number such as 0.5 or 1e-3, got '{text[:60]}'") from None


_PARSERS: dict[type, Callable[[str], Any]] = {int: _read_whole, float: _read_number}
_METAVARS = {int: "<int>", float: "<float>"}
