"""A user's space, checked once and called behind a guard: whatever its code raises becomes one message."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any

from nas.search_spaces.errors import InputError
from nas.search_spaces.network import Network
from nas.search_spaces.user_code import describe

_METHODS = ("decode", "build", "costs", "choices")


class UserSpace:
    """Presents an object of a user's class as a search space.

    It has ``decode``, ``build``, ``costs`` and ``choices`` exactly where the object has them.

    Args:
        space: the user's object.
        source: what to call it in messages.
        path: the user's file, to name the line of an error.

    Raises:
        InputError: naming what is missing or wrong.
    """

    def __init__(self, space: Any, source: str, path: str | None = None) -> None:
        for attribute, expected in (("name", "a string"), ("gene_sizes", "a sequence of option counts")):
            if not hasattr(space, attribute):
                raise InputError(f"{source}: a space needs the attribute '{attribute}' ({expected}), found none")
        self.name = str(space.name)
        self.gene_sizes = _sizes(space.gene_sizes, source)
        self.resolution: int | None = getattr(space, "resolution", None)
        self.gene_names = _names(getattr(space, "gene_names", None), len(self.gene_sizes), source)
        self._source, self.source_path = source, path
        for name in _METHODS:
            if callable(method := getattr(space, name, None)):
                setattr(self, name, self._guarded(name, method))
        if hasattr(self, "decode") and hasattr(self, "build"):
            raise InputError(f"{source}: expected decode or build, got both; keep decode where there is a stage table")

    def _guarded(self, name: str, method: Callable[[Any], Any]) -> Callable[[Any], Any]:
        expected = {"decode": Network, "costs": dict, "choices": dict}.get(name, object)

        @functools.wraps(method)
        def call(argument: Any) -> Any:
            try:
                result = method(argument)
            except InputError:
                raise
            except Exception as error:
                raise InputError(
                    f"{self._source}: {name}({argument}) failed: {describe(error, self.source_path)}"
                ) from error
            if not isinstance(result, expected):
                kind = type(result).__name__
                raise InputError(f"{self._source}: {name}({argument}): expected a {expected.__name__}, got a {kind}")
            return result

        return call


def _names(names: Any, count: int, source: str) -> tuple[str, ...]:
    """Return one name for each gene, ``gene0``, ... where the space names none."""
    if names is None:
        return tuple(f"gene{index}" for index in range(count))
    found = tuple(names)
    if len(found) != count or not all(isinstance(name, str) for name in found):
        raise InputError(f"{source}: gene_names: expected one text for each of the {count} genes, got {list(found)}")
    if twice := [name for index, name in enumerate(found) if name in found[:index]]:
        raise InputError(f"{source}: gene_names: '{twice[0]}' stands twice; genes need names of their own")
    return found


def _sizes(sizes: Any, source: str) -> tuple[int, ...]:
    try:
        whole = tuple(operator.index(size) for size in sizes)
    except TypeError:
        whole = ()
    if not whole or min(whole) < 1:
        raise InputError(f"{source}: gene_sizes: expected one whole number of at least 1 for each gene, got {sizes!r}")
    return whole
