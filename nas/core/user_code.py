"""A user's class from ``FILE.py:Class``, with the modules beside it that it imports.

Each user's file runs as a module of a package of its own, whose folder is the folder of the file. A module that it
imports from this folder is a module of the same package, so that files of one name in two projects stay apart.
"""

from __future__ import annotations

import builtins
import contextlib
import hashlib
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import re
import sys
import tempfile
import types
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from nas.core.errors import InputError, nearest_name, printable, shortened
from nas.core.files import absolute_path
from nas.core.imports import local_files, project_folder

_REFERENCE = re.compile(r"(?P<path>.+\.py):(?P<name>[^:\\/]+)")
_PREFIX = "nas_user_code_"
_MOST_MESSAGE = 600  # characters of an exception's message
_mains: dict[str, str] = {}  # files whose name is no module's, by the name that they are imported by
_folders: set[str] = set()  # the folders of users' packages
_trusted: ContextVar[bool] = ContextVar("trusted", default=False)
_refused: ContextVar[str] = ContextVar("refused", default="")


@dataclass(frozen=True, slots=True)
class UserCode:
    """A class in a source file, with the file's content, so that it loads in any process and working directory.

    Attributes:
        path: path of the file.
        class_name: name of the class in the file.
        files: content of the file and of the files beside it that it imports, by path below the file's folder.
    """

    path: str
    class_name: str
    files: Mapping[str, bytes] = field(repr=False)

    @classmethod
    def read(cls, reference: str, what: str) -> UserCode | None:
        """Read ``FILE.py:Class``; return ``None`` if ``reference`` has another form.

        Raises:
            InputError: if the file is absent or unreadable, does not run, or has no such class.
        """
        code = cls.find(reference, what)
        if code is None:
            return None
        try:
            code.load()
        except InputError as error:
            raise InputError(f"{what}: {error}") from None
        return code

    @classmethod
    def find(cls, reference: str, what: str) -> UserCode | None:
        """Read ``FILE.py:Class`` as ``read`` does, without running it.

        Raises:
            InputError: if the file is absent or unreadable.
        """
        if reference.endswith(".py"):
            raise InputError(f"{what}: expected FILE.py:Class, got '{reference}' without a class")
        match = _REFERENCE.fullmatch(reference)
        if match is None:
            return None
        path = Path(absolute_path(match["path"]))
        try:
            return cls(str(path), match["name"], local_files(path))
        except OSError as error:
            raise InputError(f"{what}: the file '{match['path']}' cannot be read ({error.strerror})") from None

    @property
    def digests(self) -> dict[str, str]:
        """SHA-256 of every file, by its path below the file's folder."""
        return {name: hashlib.sha256(content).hexdigest() for name, content in sorted(self.files.items())}

    def load(self) -> type[Any]:
        """Run the source once in this process and return the class; the working directory stays as it is.

        Raises:
            InputError: if it does not run, has no such class, or code must not be run (see ``without_user_code``).
        """
        if reason := _refused.get():
            raise InputError(f"{self.path}: {reason}")
        folder = self._folder()
        main = _main_name(folder, self._main)
        package = _package(folder, tuple(self.digests.items()), main, self._main)
        try:
            with kept_directory():
                module = importlib.import_module(f"{package}.{main}")
        except (Exception, SystemExit) as error:
            sys.modules.pop(f"{package}.{main}", None)
            raise InputError(f"{self.path}: {describe(error, self.path)}") from error
        kinds = {key: value for key, value in vars(module).items() if isinstance(value, type)}
        if self.class_name not in kinds:
            own = [key for key, value in kinds.items() if value.__module__ == module.__name__]
            raise InputError(f"{self.path}: has no class '{self.class_name}'{nearest_name(self.class_name, own)}")
        return kinds[self.class_name]

    @property
    def _main(self) -> str:
        """The file's path below the folder to run from, with ``/``."""
        return Path(self.path).relative_to(project_folder(Path(self.path))).as_posix()

    def _folder(self) -> Path:
        """Return the folder to run from: that of the file or its package, or a copy where the files differ."""
        own = project_folder(Path(self.path))
        with contextlib.suppress(OSError):
            if all((own / name).read_bytes() == content for name, content in self.files.items()):
                return own
        return _copy(tuple(sorted(self.files.items())))


def _main_name(folder: Path, main: str) -> str:
    """Return the name that a file is imported by; another one where its own is no module's, or is a package's."""
    dotted = main.removesuffix(".py").replace("/", ".")
    path = folder / main
    if "." in path.stem or (path.parent / path.stem / "__init__.py").is_file():
        return "main_" + re.sub(r"\W", "_", dotted)
    return dotted


@contextlib.contextmanager
def without_user_code(reason: str) -> Iterator[None]:
    """Refuse to run any user's code inside the context; ``reason`` says why and what to do."""
    token = _refused.set(reason)
    try:
        yield
    finally:
        _refused.reset(token)


@contextlib.contextmanager
def trusted_run() -> Iterator[None]:
    """Allow the code of a run that is opened inside the context: the user's own, or one that is trusted."""
    token = _trusted.set(True)
    try:
        yield
    finally:
        _trusted.reset(token)


def opened_run() -> contextlib.AbstractContextManager[None]:
    """Return the context in which a run is opened: its code is refused unless the run is trusted."""
    if _trusted.get():
        return contextlib.nullcontext()
    return without_user_code("the code of a run is not run when the run is opened; --trust-code runs it")


@contextlib.contextmanager
def kept_directory() -> Iterator[None]:
    """Restore the working directory after user's code has run inside the context."""
    try:
        before: Path | None = Path.cwd()
    except OSError:  # it was deleted
        before = None
    try:
        yield
    finally:
        if before is not None:
            with contextlib.suppress(OSError):
                os.chdir(before)


def message_of(error: BaseException) -> str:
    """Return an exception's message, shortened and without control characters, even if its own code fails."""
    try:
        text = str(error)
    except Exception:
        return "(its message cannot be shown)"
    plain = "".join(letter if letter.isprintable() or letter in "\n\t" else " " for letter in printable(text[:100_000]))
    return shortened(plain, _MOST_MESSAGE)


def describe(error: BaseException, path: str | None = None) -> str:
    """Describe an exception in one line: type, message, and the place where it was raised.

    The place is the last line of the user's own code in the traceback: of ``path`` or, if it is not given, of any file
    of a user. If there is none, it is ``path`` or the line that raised the exception.
    """
    line, said = None, message_of(error)
    place, trace, is_users = path, error.__traceback__, False
    if isinstance(error, SyntaxError) and error.filename and Path(error.filename).is_file():
        place, line, said, trace = error.filename, error.lineno, error.msg, None  # it carries its own place
    text = f"{type(error).__name__}: {said}" if said else type(error).__name__
    while trace is not None:
        filename = trace.tb_frame.f_code.co_filename
        users = filename == path or str(trace.tb_frame.f_globals.get("__name__", "")).startswith(_PREFIX)
        if users or (path is None and not is_users):
            place, line, is_users = filename, trace.tb_lineno, is_users or users
        trace = trace.tb_next
    where = f" ({Path(place).name}, line {line})" if place and line else ""
    return " ".join(text.split()) + where


class _ProjectFinder(importlib.abc.MetaPathFinder):
    """Finds the modules of users' packages, and gives them an ``import`` that looks into their own folder first."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if not fullname.startswith(_PREFIX) or path is None:
            return None
        if (file := _mains.get(fullname)) is not None:
            return importlib.util.spec_from_file_location(fullname, file, loader=_ProjectLoader(fullname, file))
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            spec.loader = _ProjectLoader(spec.loader.name, spec.loader.path)
        return spec


class _ProjectLoader(importlib.machinery.SourceFileLoader):
    """Runs a module of a user's package. Its source is decoded as Python does, and compiled afresh."""

    def get_code(self, fullname: str) -> types.CodeType:  # noqa: ARG002
        # Compiled bytecode is found by time and size, so a file that is edited twice in a second would run as it was.
        return self.source_to_code(self.get_data(self.path), self.path)

    def exec_module(self, module: types.ModuleType) -> None:
        package = module.__name__.partition(".")[0]
        vars(module)["__builtins__"] = {**vars(builtins), "__import__": _importer(package)}
        super().exec_module(module)


@cache
def _importer(package: str) -> Any:
    """Return the ``__import__`` of a user's package."""
    folder = Path(sys.modules[package].__path__[0])

    def import_own(
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> types.ModuleType:
        top = name.partition(".")[0]
        if level or not _is_local(folder, top):
            return builtins.__import__(name, globals, locals, fromlist or (), level)
        if fromlist:
            return builtins.__import__(f"{package}.{name}", globals, locals, fromlist)
        importlib.import_module(f"{package}.{name}")
        return sys.modules[f"{package}.{top}"]

    return import_own


def _is_local(folder: Path, top: str) -> bool:
    """Return whether a folder holds the module or package ``top``."""
    if top == "nas":  # this program, even from a script in its own source tree
        return False
    if (folder / f"{top}.py").is_file() or (folder / top / "__init__.py").is_file():
        return True
    return (
        (folder / top).is_dir()
        and any((folder / top).glob("*.py"))
        and importlib.machinery.PathFinder.find_spec(top, [path for path in sys.path if path not in _folders]) is None
    )


def open_package(name: str, folder: str, main: str, path: str) -> None:
    """Turn the module ``name``, which is being imported, into the package of the user's files in ``folder``.

    ``main`` is the name of its main module, and ``path`` that module's file.

    The stub of a package calls this, so that a process started by user's code imports the same modules by name.
    """
    if not any(isinstance(finder, _ProjectFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _ProjectFinder())
    module = sys.modules[name]
    module.__path__ = [folder]
    _folders.add(folder)
    if main.startswith("main_"):
        _mains[f"{name}.{main}"] = path
    if folder not in sys.path:
        sys.path.append(folder)


@cache
def _package(folder: Path, digests: tuple[tuple[str, str], ...], main: str, path: str) -> str:
    """Return the name of the package of a folder's modules, which processes started from here can import too.

    Files that have been edited since make another package.
    """
    known = f"{folder} {digests} {main}".encode(errors="surrogateescape")
    name = _PREFIX + hashlib.sha256(known).hexdigest()[:12]
    stubs = _stub_folder()
    arguments = f"{str(folder)!r}, {main!r}, {str(folder / path)!r}"
    source = f"from nas.core.user_code import open_package\n\nopen_package(__name__, {arguments})\n"
    (stubs / name).mkdir(exist_ok=True)
    (stubs / name / "__init__.py").write_text(source, encoding="utf-8", errors="surrogateescape")
    importlib.invalidate_caches()
    importlib.import_module(name)
    return name


@cache
def _stub_folder() -> Path:
    """Return a folder for the stubs of this process's packages, which is on ``sys.path``."""
    import atexit
    import shutil

    folder, owner = tempfile.mkdtemp(prefix="nas-code-"), os.getpid()

    def remove() -> None:
        if os.getpid() == owner:  # not a fork of it
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)
    sys.path.append(folder)
    return Path(folder)


@cache
def _copy(files: tuple[tuple[str, bytes], ...]) -> Path:
    """Write files into a folder of this process and return it."""
    digest = hashlib.sha256(repr(files).encode()).hexdigest()[:12]
    folder = _stub_folder() / f"files_{digest}"
    for name, content in files:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder
