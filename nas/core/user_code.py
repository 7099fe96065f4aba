"""A user's class from ``FILE.py:Class``, kept as source text so that it loads in any worker and working directory."""

from __future__ import annotations

import hashlib
import linecache
import re
import sys
import types
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.core.errors import InputError, nearest_name

_REFERENCE = re.compile(r"(?P<path>.+\.py):(?P<name>[^:\\/]+)")


@dataclass(frozen=True, slots=True)
class UserCode:
    """A class in a source file, as text.

    Attributes:
        path: path of the file; its folder may hold modules that the file imports.
        class_name: name of the class in the file.
        source: the file's text.
    """

    path: str
    class_name: str
    source: str

    @classmethod
    def read(cls, reference: str, what: str) -> UserCode | None:
        """Read ``FILE.py:Class``; return ``None`` if ``reference`` has another form.

        Raises:
            InputError: if the file is absent or unreadable, does not run, or has no such class.
        """
        if reference.endswith(".py"):
            raise InputError(f"{what}: expected FILE.py:Class, got '{reference}' without a class")
        match = _REFERENCE.fullmatch(reference)
        if match is None:
            return None
        path = Path(match["path"]).expanduser().resolve()
        try:
            source = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{what}: the file '{match['path']}' cannot be read ({error})") from None
        code = cls(str(path), match["name"], source)
        try:
            code.load()
        except InputError as error:
            raise InputError(f"{what}: {error}") from None
        return code

    def load(self) -> type[Any]:
        """Run the source once in this process and return the class.

        Raises:
            InputError: if it does not run or has no such class.
        """
        digest = hashlib.sha256(self.source.encode()).hexdigest()[:12]
        name = f"nas_user_code_{Path(self.path).stem}_{digest}"
        module = sys.modules.get(name) or self._run(name)
        kinds = {key: value for key, value in vars(module).items() if isinstance(value, type)}
        if self.class_name not in kinds:
            own = [key for key, value in kinds.items() if value.__module__ == name]
            raise InputError(f"{self.path}: has no class '{self.class_name}'{nearest_name(self.class_name, own)}")
        return kinds[self.class_name]

    def _run(self, name: str) -> types.ModuleType:
        module = types.ModuleType(name)
        module.__file__ = self.path
        folder = str(Path(self.path).parent)
        if Path(folder).is_dir() and folder not in sys.path:
            sys.path.append(folder)
        linecache.cache[self.path] = (len(self.source), None, self.source.splitlines(keepends=True), self.path)
        sys.modules[name] = module
        try:
            exec(compile(self.source, self.path, "exec"), vars(module))
        except (Exception, SystemExit) as error:
            del sys.modules[name]
            raise InputError(f"{self.path}: {describe(error, self.path)}") from error
        return module


def describe(error: BaseException, path: str | None = None) -> str:
    """Describe an exception of user code in one line: type, message, and the last line of ``path`` in the traceback."""
    line, said = None, str(error)
    if isinstance(error, SyntaxError):  # carries its own line number
        line, said = error.lineno, error.msg
    text = f"{type(error).__name__}: {said}" if said else type(error).__name__
    place, trace = path, error.__traceback__
    while trace is not None:
        filename = trace.tb_frame.f_code.co_filename
        if path is None or filename == path:
            place, line = filename, trace.tb_lineno
        trace = trace.tb_next
    where = f" ({Path(place).name}, line {line})" if place and line else ""
    return " ".join(text.split()) + where
