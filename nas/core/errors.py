"""Errors that the user can fix, and the wording of their messages."""

from __future__ import annotations

import dataclasses
import difflib
import typing
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import ValidationError

_MOST_NAMES, _MOST_COMPARED = 40, 100
_MOST_TOLD = 5  # most errors shown for one document; with more, it is probably a document of the wrong kind


class InputError(ValueError):
    """A mistake in the input. The message says what was expected, what was given and what to do (exit status 2)."""


class WorkError(RuntimeError):
    """A failure of the work itself with correct input: a full disk, a lost cluster (exit status 1)."""


def shortened(text: str, most: int = 160) -> str:
    """Return a text without its middle if it is longer than ``most`` characters."""
    if len(text) <= most:
        return text
    return f"{text[: most * 2 // 3]} ... {text[-(most // 4) :]}"


def printable(text: str) -> str:
    """Return a text in which characters that no file or terminal takes (lone surrogates) are escaped."""
    return text.encode(errors="backslashreplace").decode()


def nearest_name(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'? Known: a, b, x"`` for a misspelt ``name``."""
    names = list(known)
    close = difflib.get_close_matches(str(name)[:_MOST_COMPARED], names, n=1, cutoff=0.5)
    hint = f"; did you mean '{close[0]}'?" if close else "."
    more = f", ... ({len(names)} in all)" if len(names) > _MOST_NAMES else ""
    return f"{hint} Known: {', '.join(map(shortened, names[:_MOST_NAMES])) or 'none'}{more}"


def explain(error: ValidationError, root: Any, source: str, prefix: str = "") -> str:
    """Convert a pydantic error into one message: the key, what was expected and given, the nearest valid name.

    Args:
        error: the error that pydantic raised.
        root: the type that was validated (a pydantic model or a dataclass), to find the valid names.
        source: where the data came from, for instance a file's path.
        prefix: text before every key, such as ``evaluator.``.
    """
    lines, missing = list[str](), list[str]()
    unknown: dict[tuple[str, ...], list[tuple[str, str]]] = {}
    for item in error.errors():
        location = item["loc"]
        key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).lstrip(".")
        key = prefix + shortened(key)
        if item["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
            owner = _type_at(root, location[:-1])
            names = (*_field_types(owner), *getattr(owner, "SHORTHANDS", ()))
            unknown.setdefault(names, []).append((key, str(location[-1])))
        elif item["type"] in ("missing", "missing_argument"):
            missing.append(f"'{key}'{_described(_type_at(root, location[:-1]), location[-1])}")
        elif item["type"] == "value_error":
            text = shortened(item["msg"].removeprefix("Value error, "), 400)
            lines.append(f"{key}: {text}" if key else text)
        else:
            lines.append(f"{key or 'the document'}: {_plain_words(item['msg'])}, got {shortened(repr(item['input']))}")
    if missing:
        lines.insert(0, f"missing key{'' if len(missing) == 1 else 's'} {', '.join(missing)}")
    lines = list(dict.fromkeys([*(_unknown_keys(keys, names) for names, keys in unknown.items()), *lines]))
    if (more := len(lines) - _MOST_TOLD) > 0:
        lines[_MOST_TOLD:] = [f"and {more} more"]
    return f"{source}: " + "; ".join(lines)


def _described(owner: Any, name: int | str) -> str:
    """Return a field's description in brackets, if it has one."""
    field = getattr(owner, "model_fields", {}).get(name)
    return f" ({' '.join(field.description.split()).rstrip('.')})" if field is not None and field.description else ""


def _unknown_keys(keys: Sequence[tuple[str, str]], names: Sequence[str]) -> str:
    """Return a message about the unknown keys of one mapping."""
    if len(keys) == 1:
        return f"unknown key '{keys[0][0]}'{nearest_name(keys[0][1], names)}"
    shown = ", ".join(f"'{key}'" for key, _ in keys[:_MOST_TOLD])
    return f"unknown keys {shown}{', ...' if len(keys) > _MOST_TOLD else ''}. Known: {', '.join(names)}"


def _plain_words(message: str) -> str:
    message = message[0].lower() + message[1:].replace("valid array", "list").replace("valid dictionary", "mapping")
    return message.replace("input should be", "expected").split(" or an instance of ")[0]


def _field_types(owner: Any) -> dict[str, Any]:
    if dataclasses.is_dataclass(owner) or hasattr(owner, "model_fields"):
        hints = typing.get_type_hints(owner)
        names = owner.model_fields if hasattr(owner, "model_fields") else [f.name for f in dataclasses.fields(owner)]
        return {name: hints[name] for name in names}
    return {}


def _type_at(root: Any, location: tuple[int | str, ...]) -> Any:
    """Follow a pydantic location from a model's type and return the type at its end."""
    owner = root
    for part in location:
        owner = typing.get_args(owner)[0] if isinstance(part, int) else _field_types(owner).get(part)
    return owner


class DataGone(RuntimeError):
    """The images that the run trains on are missing or have changed."""
