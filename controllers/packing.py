"""Exact encoding of arrays as plain JSON values, without pickle, for the states of controllers."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.core.errors import InputError

KINDS = ("float64", "float32", "int64")


def pack(array: NDArray[Any]) -> dict[str, Any]:
    """Return an array as its type, its shape and its little-endian bytes in base64.

    Raises:
        ValueError: if its type is not one of ``KINDS``.
    """
    kind = array.dtype.name
    if kind not in KINDS:
        raise ValueError(f"expected one of {', '.join(KINDS)}, got an array of {kind}")
    data = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).tobytes()
    return {"kind": kind, "shape": list(array.shape), "data": base64.b64encode(data).decode("ascii")}


def unpack(packed: Mapping[str, Any]) -> NDArray[Any]:
    """Return the array that ``pack`` was given.

    Raises:
        InputError: if this is not a packed array.
    """
    try:
        kind, shape = packed["kind"], tuple(int(length) for length in packed["shape"])
        if kind not in KINDS:
            raise ValueError(f"unknown type {kind!r}")
        little = np.frombuffer(base64.b64decode(packed["data"], validate=True), np.dtype(kind).newbyteorder("<"))
        return little.reshape(shape).astype(kind)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"controller state: expected a packed array, got something else ({error})") from None
