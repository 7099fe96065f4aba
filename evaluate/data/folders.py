"""The folders for data sets and decoded images on this machine."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def cache_folder() -> Path:
    """Return the folder of decoded images: ``$NAS_CACHE``, else ``mnas`` in the user's cache folder.

    If that folder cannot be written, it is ``mnas-UID`` in the folder for temporary files.
    """
    if given := os.environ.get("NAS_CACHE"):
        return Path(given).expanduser().resolve()
    try:
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mnas"
        home.mkdir(parents=True, exist_ok=True)
        if os.access(home, os.W_OK):
            return home
    except (OSError, RuntimeError):  # there is no home directory, or it cannot be written
        pass
    return Path(tempfile.gettempdir()) / f"mnas-{os.getuid()}"


def data_folder() -> Path:
    """Return the folder of named data sets: ``$NAS_DATA``, else ``data`` in the cache folder."""
    given = os.environ.get("NAS_DATA")
    return Path(given).expanduser().resolve() if given else cache_folder() / "data"
