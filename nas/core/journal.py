"""Append-only files of JSON lines: what is in them counts, whatever kills the program."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def append_lines(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows and fsync them together.

    Raises:
        OSError: if they cannot be written; the file is then as it was.
    """
    text = "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows)
    # Unbuffered: a buffer would be flushed again on closing, behind the cut.
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
    """Return the finished lines of a journal; empty if there is none.

    Args:
        path: the file.
        cut: take a torn last line away, as the one who writes may.
    """
    if not path.exists():
        return []
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    if cut and whole < len(data):
        os.truncate(path, whole)
    return data[:whole].splitlines()


def read_rows(path: Path, cut: bool = False) -> list[dict[str, Any]]:
    """Return the finished lines of a journal as mappings; a line that is none is left out."""
    rows = []
    for line in whole_lines(path, cut):
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            rows.append(row)
    return rows
