"""The command that runs this program."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path


def program() -> str:
    """Return the command that runs this program: ``nas``, or its path if ``nas`` is not on ``PATH``."""
    called = sys.argv[0]
    return called if Path(called).name == "nas" and shutil.which("nas") is None else "nas"
