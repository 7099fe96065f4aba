"""The files that a Python file imports from its own folder, found without running it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

_MOST_FILES, _MOST_BYTES = 200, 10 * 2**20


def project_folder(path: Path) -> Path:
    """Return the folder that a file's imports start from: its own or, if it is in a package, that of the package."""
    folder = path.parent
    while (folder / "__init__.py").is_file() and folder.parent != folder:
        folder = folder.parent
    return folder


def local_files(path: Path) -> dict[str, bytes]:
    """Return the content of a Python file, and of the files in its folder that it imports, directly or not.

    Files that cannot be read or parsed are taken as they are; importing them fails later, with Python's message.
    At most 200 files and 10 MiB are taken.

    Args:
        path: the file, absolute.

    Returns:
        Content by path below the file's folder, or below that of its package, with ``/``.

    Raises:
        OSError: if the file itself cannot be read.
    """
    folder = project_folder(path)
    main = path.relative_to(folder).as_posix()
    found, waiting = {main: path.read_bytes()}, [main]
    for parent in path.parents:
        if parent == folder:
            break
        package = (parent / "__init__.py").relative_to(folder).as_posix()
        found[package] = (parent / "__init__.py").read_bytes()
        waiting.append(package)
    while waiting:
        name = waiting.pop()
        for other in _imported(found[name], name):
            for file in _files_of(folder, other):
                known = file.relative_to(folder).as_posix()
                total = sum(map(len, found.values()))
                if known in found or len(found) >= _MOST_FILES or total + file.stat().st_size > _MOST_BYTES:
                    continue
                try:
                    found[known] = file.read_bytes()
                except OSError:
                    continue
                waiting.append(known)
    return found


def _imported(source: bytes, name: str) -> Iterator[str]:
    """Yield the dotted names that a file imports, relative ones as seen from the folder."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    package = name.removesuffix(".py").removesuffix("/__init__").split("/")
    if not name.endswith("__init__.py"):
        package = package[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*start, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" if base else alias.name for alias in node.names)


def _files_of(folder: Path, dotted: str) -> Iterator[Path]:
    """Yield the files that an import of a dotted name runs, where they are in the folder."""
    here = folder
    for part in dotted.split("."):
        if not part or part == "*":
            return
        if (here / f"{part}.py").is_file():
            yield here / f"{part}.py"
        if (here / part / "__init__.py").is_file():
            yield here / part / "__init__.py"
        if not (here / part).is_dir():
            return
        here /= part
