"""Append-only journals of JSON lines. Complete lines stay valid if the program is killed."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nas.core.documents import parse_json
from nas.core.errors import InputError


def append_lines(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Append rows to a journal and fsync them together.

    Raises:
        OSError: if the rows cannot be written; the file is then unchanged.
    """
    text = "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows)
    # Unbuffered: a buffer would be flushed again on closing, after the file was truncated.
    with path.open("ab", buffering=0) as journal:
        before = journal.tell()
        try:
            left = memoryview(text.encode())
            while left:
                left = left[journal.write(left) :]
            os.fsync(journal.fileno())
        except BaseException:
            os.truncate(path, before)
            raise


def whole_lines(path: Path, cut: bool = False) -> list[bytes]:
    """Return the complete lines of a journal; empty if the file does not exist.

    Args:
        path: the file.
        cut: remove an incomplete last line from the file; only the writing process may do so.
    """
    if not path.exists():
        return []
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    if cut and whole < len(data):
        os.truncate(path, whole)
    return data[:whole].splitlines()


def read_rows(path: Path, cut: bool = False) -> list[dict[str, Any]]:
    """Return the complete lines of a journal as mappings; lines that are not JSON objects are skipped."""
    rows = []
    for line in whole_lines(path, cut):
        try:
            row = parse_json(line, str(path))
        except InputError:
            continue
        if isinstance(row, dict):
            rows.append(row)
    return rows
