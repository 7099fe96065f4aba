"""How a field of the configuration is set from the command line; written beside the field, as its annotation."""

from __future__ import annotations

from dataclasses import dataclass

SEARCHED, WHERE, RUN = "What to search", "Where trials run", "The run"


@dataclass(frozen=True, slots=True)
class Flag:
    """The command-line option that sets a field.

    Attributes:
        name: as it is typed, such as ``--target-flops`` or ``--report/--no-report``.
        panel: the heading that it stands under in ``--help``.
        help: what it does; empty: the field's docstring.
        key: the key that it sets, where the field is a mapping.
        completion: the completer in ``nas.cli.completion`` that knows its values.
        is_path: whether the value is a path.
        resumable: whether a run that is resumed may be given another value.
    """

    name: str
    panel: str = SEARCHED
    help: str = ""
    key: str = ""
    completion: str = ""
    is_path: bool = False
    resumable: bool = False
