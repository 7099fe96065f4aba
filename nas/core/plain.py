"""Plain Python values from what users hand over: numpy and torch scalars, arrays, paths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import PurePath
from typing import Any, TypeVar

T = TypeVar("T")


def plain(value: Any) -> Any:
    """Return a value with numpy and torch scalars as numbers, arrays and tuples as lists, paths as text.

    Examples:
        >>> import numpy as np
        >>> plain({"population": np.int64(8), "widths": np.array([16, 24]), "rate": np.float32(0.5)})
        {'population': 8, 'widths': [16, 24], 'rate': 0.5}
    """
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, Mapping):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if isinstance(value, PurePath):
        return str(value)
    if callable(getattr(value, "tolist", None)):  # numpy's scalars and arrays, torch's tensors
        return plain(value.tolist())
    return value


def plain_fields(record: T) -> T:
    """Return a frozen dataclass, and those in its fields, with plain values; itself if they are plain already."""
    changed = {}
    for item in fields(record):  # type: ignore[arg-type]
        value = getattr(record, item.name)
        new: Any = value
        if is_dataclass(value) and not isinstance(value, type):
            new = plain_fields(value)
        elif isinstance(value, tuple):
            parts = tuple(plain_fields(one) if is_dataclass(one) else plain(one) for one in value)
            new = value if all(a is b for a, b in zip(parts, value, strict=True)) else parts
        elif value is not None and type(value) not in (bool, int, float, str):
            new = plain(value)
        if new is not value:
            changed[item.name] = new
    return replace(record, **changed) if changed else record  # type: ignore[type-var]
