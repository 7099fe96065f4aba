"""Atomic file writes (a file is written completely or not at all), checks of folders, and file locks."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import tempfile
from pathlib import Path

from nas.core.errors import InputError, WorkError, shortened

_log = logging.getLogger(__name__)


def write_whole(path: Path, text: str) -> None:
    """Write a text file atomically: a reader sees the old file or the new one, never a part.

    Raises:
        InputError: if a file is in the way of a folder, or a folder in the way of the file.
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


def expanded(path: str | Path) -> Path:
    """Return a path with ``~`` replaced by the home directory.

    Raises:
        InputError: if no home directory is known, or the path cannot be one.
    """
    if "\0" in str(path):
        raise InputError(f"{str(path)!r}: a path cannot hold a null character")
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise InputError(
            f"'{path}': no home directory is known here (HOME is not set); write the whole path instead of ~"
        ) from None


def is_there(path: Path) -> bool:
    """Return whether a path exists; False for what cannot be a path, such as a name that is too long."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def absolute_path(path: str | Path) -> str:
    """Return the absolute path, with ``~`` and symbolic links resolved.

    Raises:
        InputError: as ``expanded``.
    """
    try:
        return str(expanded(path).resolve())
    except OSError as error:
        raise InputError(f"'{shortened(str(path))}': {error.strerror}") from None
    except RuntimeError:
        raise InputError(f"'{path}': its symbolic links lead to themselves") from None


def check_empty(path: Path, resume_command: str = "") -> None:
    """Check that a folder is absent or empty, so that new output may be written into it.

    Args:
        path: the folder.
        resume_command: the command that resumes the work in the folder; empty if there is none.

    Raises:
        InputError: if it is a file, or a folder that is not empty.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        what = "is not empty" if path.is_dir() else "is a file"
        known = f", or resume with: {resume_command}" if resume_command else ""
        raise InputError(f"--out: '{path}' {what}; choose another --out{known}")


def claimed_folder(path: Path) -> Path:
    """Make a new folder at ``path`` or, if another process has it, at ``path-2``, ``path-3``, ...; return its path.

    Raises:
        InputError, WorkError: if it cannot be made.
    """
    number, place = 1, path
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            place.mkdir()
            return place
        except FileExistsError:
            number += 1
            place = path.with_name(f"{path.name}-{number}")
        except OSError as error:
            raise cannot_write(place, error) from None


def hold(path: Path, what: str) -> int:
    """Lock a file against other processes and return its handle; the lock holds until the handle is closed.

    The file is created if it does not exist.

    Args:
        path: the file.
        what: the flag or command at the beginning of the error message.

    Raises:
        InputError: if another process holds the lock, or a file is in the way of a folder (or the reverse).
        WorkError: if the file cannot be created.
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
        _log.warning("%s cannot be locked (%s): make sure that no other process writes to it", path, error.strerror)
    return handle


def cannot_write(path: Path, error: OSError) -> InputError | WorkError:
    """Return the error for a failed write.

    It is an ``InputError`` if a file is in the way of a folder or a folder in the way of a file, else a ``WorkError``.
    """
    if error.errno in (errno.EEXIST, errno.ENOTDIR, errno.EISDIR):
        return InputError(
            f"{path}: expected a folder but found a file, or expected a file but found a folder; choose another path"
        )
    return WorkError(f"{path}: cannot be written ({error.strerror or error}); free space or choose another folder")


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
