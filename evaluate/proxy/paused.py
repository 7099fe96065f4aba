"""Trainings that were paused, kept on the node that paused them for as long as they may go on."""

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
    """Return what names the checkpoint of a run's trial on every node."""
    return f"{hashlib.sha256(run.encode()).hexdigest()[:16]}/{number}"


def checkpoint_path(key: str) -> Path:
    """Return where a checkpoint lies on this node: in its folder for temporary files."""
    return _root() / f"{key}.pt"


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a training's state, whole or not at all; a full disk is no fault, the training then starts anew."""
    import torch

    temporary = path.with_suffix(f".{os.getpid()}.part")
    for last in (False, True):  # twice, for another worker may take the empty folder away in between
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
    """Read a training's state; ``None`` if there is none here or it is damaged: it is then trained from the start."""
    import torch

    try:
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    except FileNotFoundError:
        return None
    except Exception as error:
        _log.warning("%s: the checkpoint cannot be read (%s); trained from the start", path, error)
        return None
    return state


def forget_checkpoints(keys: Iterable[str]) -> None:
    """Remove checkpoints that lie on this node, their run's folder if it is empty then, and runs a week untouched."""
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
