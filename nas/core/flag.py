"""The annotation of a configuration field that defines its command-line option."""

from __future__ import annotations

from dataclasses import dataclass

SEARCHED, WHERE, RUN = "What to search", "Where trials run", "The run"


@dataclass(frozen=True, slots=True)
class Flag:
    """The command-line option that sets a field.

    Attributes:
        name: the option as it is typed, such as ``--target-flops`` or ``--report/--no-report``.
        panel: heading of the option in ``--help``.
        help: help text; if empty, the field's docstring is used.
        key: key that the option sets, if the field is a mapping.
        completion: name of the completer of its values in ``nas.cli.completion``.
        is_path: whether the value is a path.
        resumable: whether the value may be changed when a run is resumed.
    """

    name: str
    panel: str = SEARCHED
    help: str = ""
    key: str = ""
    completion: str = ""
    is_path: bool = False
    resumable: bool = False
