"""A wrapper of a user's space, which checks it once and converts every exception of its code into one message."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any

from nas.core.errors import InputError
from nas.core.plain import plain, plain_fields
from nas.core.user_code import describe, kept_directory
from nas.search_spaces.network import Network

MOST_OPTIONS, MOST_PIXELS = 10**6, 4096
MOST_LETTERS = 150  # of a name; files are named after it
_METHODS = ("decode", "build", "costs", "choices")


class UserSpace:
    """Wraps an object of a user's class as a search space.

    The wrapper has each of ``decode``, ``build``, ``costs`` and ``choices`` only if the object has it.

    Args:
        space: the user's object.
        source: name of the space in messages.
        path: the user's file, used to report the line of an error.

    Raises:
        InputError: naming what is missing or wrong.
    """

    def __init__(self, space: Any, source: str, path: str | None = None) -> None:
        self._source, self.source_path = source, path
        for attribute, expected in (("name", "a string"), ("gene_sizes", "a sequence of option counts")):
            if self._read(space, attribute) is None:
                raise InputError(f"{source}: a space needs the attribute '{attribute}' ({expected}), found none")
        self.name = _name(space.name, source)
        self.gene_sizes = _sizes(space.gene_sizes, source)
        self.resolution = _resolution(self._read(space, "resolution"), source)
        self.gene_names = _names(self._read(space, "gene_names"), len(self.gene_sizes), source)
        for name in _METHODS:
            method = self._read(space, name)
            if callable(method):
                setattr(self, name, self._guarded(name, method))
            elif method is not None:
                raise InputError(f"{source}: {name}: expected a method, got a {type(method).__name__}")
        if hasattr(self, "decode") and hasattr(self, "build"):
            raise InputError(f"{source}: expected decode or build, got both; keep decode if there are stage tables")

    def _read(self, space: Any, attribute: str) -> Any:
        """Return an attribute of the user's object; ``None`` if it has none."""
        try:
            return getattr(space, attribute, None)
        except Exception as error:
            raise InputError(f"{self._source}: {attribute} failed: {describe(error, self.source_path)}") from error

    def _guarded(self, name: str, method: Callable[[Any], Any]) -> Callable[[Any], Any]:
        expected = {"decode": Network, "costs": dict, "choices": dict}.get(name, object)

        @functools.wraps(method)
        def call(argument: Any) -> Any:
            try:
                with kept_directory():
                    result = method(argument)
            except InputError:
                raise
            except (Exception, SystemExit) as error:
                raise InputError(
                    f"{self._source}: {name}({argument}) failed: {describe(error, self.source_path)}"
                ) from error
            if not isinstance(result, expected):
                kind = type(result).__name__
                raise InputError(f"{self._source}: {name}({argument}): expected a {expected.__name__}, got a {kind}")
            if isinstance(result, Network):
                return plain_fields(result)
            return plain(result) if name == "choices" else result

        return call


def _name(name: Any, source: str) -> str:
    if not isinstance(name, str) or not name.strip():
        raise InputError(f"{source}: name: expected a string, got {name!r}")
    if len(name) > MOST_LETTERS or any(letter in "/\\" or not letter.isprintable() for letter in name):
        raise InputError(
            f"{source}: name: expected at most {MOST_LETTERS} letters, no slashes and no control characters, got "
            f"{name!r:.80}"
        )
    return name


def _resolution(resolution: Any, source: str) -> int | None:
    if resolution is None:
        return None
    try:
        whole = operator.index(resolution)
    except TypeError:
        whole = 0
    if not 1 <= whole <= MOST_PIXELS:
        raise InputError(
            f"{source}: resolution: expected the image's side as a whole number from 1 to {MOST_PIXELS}, "
            f"got {resolution!r}"
        )
    return whole


def _names(names: Any, count: int, source: str) -> tuple[str, ...]:
    """Return one name for each gene, ``gene0``, ... if the space gives no names."""
    if names is None:
        return tuple(f"gene{index}" for index in range(count))
    found = tuple(names) if isinstance(names, (list, tuple)) else ()
    if len(found) != count or not all(isinstance(name, str) for name in found):
        raise InputError(f"{source}: gene_names: expected one string for each of the {count} genes, got {names!r}")
    if twice := [name for index, name in enumerate(found) if name in found[:index]]:
        raise InputError(f"{source}: gene_names: '{twice[0]}' occurs twice; gene names have to be unique")
    return found


def _sizes(sizes: Any, source: str) -> tuple[int, ...]:
    try:
        whole = tuple(operator.index(size) for size in sizes)
    except TypeError:
        whole = ()
    if not whole or min(whole) < 1 or max(whole) > MOST_OPTIONS:
        raise InputError(
            f"{source}: gene_sizes: expected one whole number of at least 1 and at most {MOST_OPTIONS:,} for "
            f"each gene, got {sizes!r}"
        )
    return whole
