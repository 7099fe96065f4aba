"""Files are written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import tempfile
from pathlib import Path

from nas.core.errors import InputError, WorkError

_log = logging.getLogger(__name__)


def write_whole(path: Path, text: str) -> None:
    """Write a text file atomically: a reader sees the old file or the new one, never a part.

    Raises:
        WorkError: if it cannot be written, for instance because the disk is full.
    """
    write_bytes_whole(path, text.encode())


def write_bytes_whole(path: Path, content: bytes) -> None:
    """Write a file atomically, as ``write_whole``."""
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
    except OSError as error:
        raise cannot_write(path, error) from None


def absolute_path(path: str | Path) -> str:
    """Return a path as seen from the root, with ``~`` resolved."""
    return str(Path(path).expanduser().resolve())


def check_empty(path: Path, resume_command: str = "") -> None:
    """Check that something new may be written into a folder.

    Args:
        path: the folder.
        resume_command: what continues the work that lies there; empty if none does.

    Raises:
        InputError: if it is a file, or a folder that is not empty.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        what = "is not empty" if path.is_dir() else "is a file"
        known = f", or go on with: {resume_command}" if resume_command else ""
        raise InputError(f"--out: '{path}' {what}; choose another --out{known}")


def hold(path: Path, what: str) -> int:
    """Keep other processes out by a lock on a file, made if need be, for as long as the returned handle is open.

    Args:
        path: the file.
        what: the flag or command that a refusal begins with.

    Raises:
        InputError: if another process holds it.
        WorkError: if the file cannot be made.
    """
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
    except OSError as error:
        raise cannot_write(path, error) from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise InputError(f"{what}: another process is running '{path.parent}'; wait for it or stop it first") from None
    except OSError as error:
        _log.warning("%s cannot be locked (%s): let no second process write there", path, error.strerror)
    return handle


def cannot_write(path: Path, error: OSError) -> InputError | WorkError:
    """Word a failed write: a mistake where a file stands in the way, else failed work."""
    if error.errno in (errno.EEXIST, errno.ENOTDIR, errno.EISDIR):
        return InputError(f"{path}: expected a folder, but a file is in the way; choose another")
    return WorkError(f"{path}: cannot be written ({error.strerror or error}); free space or choose another folder")


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
