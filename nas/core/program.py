"""What people type to run this program."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path


def program() -> str:
    """Return what to type for this program: ``nas``, or its path where it is not on the search path."""
    called = sys.argv[0]
    return called if Path(called).name == "nas" and shutil.which("nas") is None else "nas"
