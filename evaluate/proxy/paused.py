"""Checkpoints of paused trainings, kept on the node that paused them as long as they may be resumed."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


_log = logging.getLogger(__name__)
_STALE_S = 7 * 24 * 3600.0


def checkpoint_key(run: str, number: int) -> str:
    """Return the key of the checkpoint of a run's trial; it is the same on every node."""
    return f"{hashlib.sha256(run.encode()).hexdigest()[:16]}/{number}"


def checkpoint_path(key: str) -> Path:
    """Return the path of a checkpoint on this node, in the node's folder for temporary files."""
    return _root() / f"{key}.pt"


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a training's state atomically.

    If it cannot be written, for instance on a full disk, a warning is logged; when the training is resumed, it
    continues from an older checkpoint or starts from the beginning.
    """
    import torch

    temporary = path.with_suffix(f".{os.getpid()}.part")
    for last in (False, True):  # two tries, because another worker may remove the empty folder in between
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.save(state, temporary)
            temporary.replace(path)
            return
        except (OSError, RuntimeError) as error:
            with contextlib.suppress(OSError):
                temporary.unlink()
            if last:
                _log.warning("%s: the checkpoint could not be written (%s)", path, error)


def load_checkpoint(path: Path, device: torch.device) -> dict[str, Any] | None:
    """Read a training's state.

    The result is ``None`` if this node has no checkpoint or it is damaged; the training then starts from the beginning.
    """
    import torch

    try:
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    except FileNotFoundError:
        return None
    except Exception as error:
        _log.warning("%s: the checkpoint cannot be read (%s); training from the start", path, error)
        return None
    return state


def forget_checkpoints(keys: Iterable[str]) -> None:
    """Remove checkpoints from this node, run folders that are then empty, and run folders unchanged for a week."""
    for key in keys:
        path = checkpoint_path(key)
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
            path.parent.rmdir()
    with contextlib.suppress(OSError):
        for folder in _root().iterdir():
            if time.time() - folder.stat().st_mtime > _STALE_S:
                shutil.rmtree(folder, ignore_errors=True)


def _root() -> Path:
    return Path(tempfile.gettempdir()) / f"mnas-checkpoints-{os.getuid()}"
