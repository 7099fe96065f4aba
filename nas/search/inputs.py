"""The inputs of a run: the files of its space, evaluator, controller and tables, kept in the run directory.

``inputs/inputs.json`` lists every input with the SHA-256 of its files; ``inputs/ROLE/`` holds the files. A resumed run
uses the originals if they are as they were. Code is run from the kept copies only if the user trusts it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nas.core.documents import parse_json, parse_yaml, read_mapping
from nas.core.errors import InputError
from nas.core.files import is_there, write_bytes_whole, write_whole
from nas.core.imports import local_files, project_folder
from nas.evaluate.data.load import data_names
from nas.search.config import RunConfig

INPUTS, MANIFEST = "inputs", "inputs.json"
_DATA = "data"
_MOST_BYTES = 256 * 2**20  # larger tables are not copied; only their digest is kept


@dataclass(frozen=True, slots=True)
class Input:
    """A file that a configuration names.

    Attributes:
        path: path of the file, absolute.
        class_name: name of the class, for ``FILE.py:Class``; else empty.
    """

    path: Path
    class_name: str = ""

    @property
    def is_code(self) -> bool:
        """Whether it is Python code."""
        return bool(self.class_name)

    @property
    def reference(self) -> str:
        """The input as a configuration names it."""
        return f"{self.path}:{self.class_name}" if self.class_name else str(self.path)

    def at(self, path: Path) -> Input:
        """Return the same input at another path."""
        return Input(path, self.class_name)

    def files(self) -> dict[str, bytes]:
        """Return the content of the file, and of the files beside it that it imports, by path below its folder.

        Raises:
            OSError: if it cannot be read.
        """
        return local_files(self.path) if self.is_code else {self.path.name: self.path.read_bytes()}


@dataclass(frozen=True)
class Resolved:
    """The inputs of a resumed run.

    Attributes:
        config: the configuration, with the paths at which the inputs are now.
        messages: what the user should know about them.
        edited: roles of the inputs that have changed since the run began, and whose change is accepted.
    """

    config: RunConfig
    messages: list[str] = field(default_factory=list)
    edited: set[str] = field(default_factory=set)


def inputs_of(config: RunConfig) -> dict[str, Input]:
    """Return the files that a configuration names, by role: ``space``, ``evaluator``, ``controller``, ``table`` ..."""
    named = {
        "space": config.space if config.scaling is None else "",
        "evaluator": str(config.evaluator.get("name", "")),
        "controller": str(config.controller.get("name", "")),
        "table": str(config.evaluator.get("path", "")) if config.evaluator.get("name") == "table" else "",
        "device": config.objective.device or "",
    }
    found = {}
    for role, reference in named.items():
        path, colon, class_name = reference.rpartition(":")
        if colon and path.endswith(".py"):
            found[role] = Input(Path(path), class_name)
        elif reference.endswith((".yaml", ".yml", ".json")):
            found[role] = Input(Path(reference))
    return found


def keep_inputs(run: Path, config: RunConfig) -> None:
    """Copy the inputs of a run into its directory, and write their list. Copies of an earlier version are renamed.

    Raises:
        InputError: if an input cannot be read.
        WorkError: if something cannot be written.
    """
    known, manifest = _manifest(run), dict[str, Any]()
    for role, one in inputs_of(config).items():
        try:
            files = one.files()
        except OSError as error:
            raise InputError(f"{role}: '{one.path}' cannot be read ({error.strerror})") from None
        digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
        main = one.path.relative_to(project_folder(one.path)).as_posix() if one.is_code else one.path.name
        manifest[role] = _place(one.path, run) | {"class": one.class_name, "main": main, "files": digests}
        folder = run / INPUTS / role
        if role in known and known[role].get("files") != digests and folder.exists():
            number = next(n for n in range(1, 10_000) if not (run / INPUTS / f"{role}-{n}").exists())
            folder.rename(run / INPUTS / f"{role}-{number}")
        if sum(map(len, files.values())) <= _MOST_BYTES:
            for name, content in files.items():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                write_bytes_whole(folder / name, content)
    if config.data.source not in data_names():
        manifest[_DATA] = _place(Path(config.data.source), run)
    if manifest:
        (run / INPUTS).mkdir(exist_ok=True)
        write_whole(run / INPUTS / MANIFEST, json.dumps(manifest, indent=1) + "\n")


def resolve_inputs(
    run: Path,
    config: RunConfig,
    accept: bool = False,
    trust: bool = False,
    nothing_to_lose: bool = False,
    way_on: str = ", or go on with --accept-changes",
) -> Resolved:
    """Find the inputs of a run that is resumed.

    An original that is unchanged is used, at its own path or, if the project was moved together with the run, at the
    same place relative to the run.

    Args:
        run: the run's directory.
        config: the run's configuration.
        accept: whether inputs that have changed are accepted.
        trust: whether code may be run from the copies in the run's directory.
        nothing_to_lose: whether no trial has succeeded, so that a change makes nothing incomparable.
        way_on: how the user can go on with a changed input; empty if the command has no option for it.

    Raises:
        InputError: if an input is gone, or has changed and the change is not accepted.
    """
    known, found = _manifest(run), Resolved(config)
    for role, one in inputs_of(config).items():
        if one.is_code and not trust and _is_inside(one.path, run):
            raise InputError(f"{role}: '{one.path}' lies in the run's own directory; --trust-code runs it")
        if role not in known:  # a run from before 0.1.0
            continue
        place = _found(one.path, known[role], run)
        if place is not None and one.is_code and not trust and _is_inside(place, run):
            place = None
        copy = one.at(_copy_of(run, role, one, known[role]))
        if place is None:
            if one.is_code and not trust:
                raise InputError(
                    f"{role}: '{one.path}' is no longer there. Restore it, correct its path in {run / 'config.yaml'}, "
                    f"or run the copy that the run keeps in {copy.path.parent} with --trust-code"
                )
            found.messages.append(f"{role}: '{one.path}' is no longer there; the run's own copy is used")
            found = _with(found, role, copy)
            continue
        if place != one.path:
            found.messages.append(f"{role}: found at {place}")
        found = _with(found, role, one.at(place))
        if changes := _changes(one.at(place), known[role], copy):
            told = f"{role}: '{place}' has changed since this run began ({changes})"
            if not (accept or nothing_to_lose):
                raise InputError(
                    f"{told}. Trials of two versions may not be comparable. Restore it (its first version is in "
                    f"{copy.path.parent}), or begin a new run{way_on}"
                )
            found.messages.append(f"{told}; the change is accepted")
            found.edited.add(role)
    return _with_data(found, run, known)


def kept_inputs(run: Path, config: RunConfig) -> RunConfig:
    """Return a configuration whose inputs are the copies in the run's directory, wherever there is one."""
    known, found = _manifest(run), Resolved(config)
    for role, one in inputs_of(config).items():
        copy = one.at(_copy_of(run, role, one, known.get(role, {})))
        if role in known and copy.path.is_file():
            found = _with(found, role, copy)
    return found.config


def code_version(run: Path) -> str | None:
    """Return a digest of a run's evaluator and space if a change of one of them was accepted; else ``None``."""
    edited = [role for role in ("evaluator", "space") if (run / INPUTS / f"{role}-1").exists()]
    known = _manifest(run)
    if not edited:
        return None
    return hashlib.sha256(json.dumps([known.get(role) for role in edited], sort_keys=True).encode()).hexdigest()[:16]


def located_data(run: Path, config: RunConfig) -> str:
    """Return the source of a run's images, at its place relative to the run if the project was moved."""
    return _with_data(Resolved(config), run, _manifest(run)).config.data.source


def _manifest(run: Path) -> dict[str, Any]:
    return {role: one for role, one in read_mapping(run / INPUTS / MANIFEST).items() if isinstance(one, dict)}


def _place(path: Path, run: Path) -> dict[str, str]:
    """Return a path, and the same path relative to the run's directory."""
    return {"path": str(path), "relative": os.path.relpath(path, run.resolve())}


def _found(path: Path, known: Mapping[str, Any], run: Path) -> Path | None:
    """Return where a file is now; ``None`` if it is neither at its path nor at its place relative to the run."""
    if is_there(path):
        return path
    moved = run.resolve() / str(known.get("relative", ""))
    return moved.resolve() if known.get("relative") and is_there(moved) else None


def _copy_of(run: Path, role: str, one: Input, known: Mapping[str, Any]) -> Path:
    """Return the path of the run's own copy of an input."""
    folder = run / INPUTS / role
    path = folder / str(known.get("main", one.path.name))
    return path if path.resolve().is_relative_to(folder.resolve()) else folder / one.path.name


def _is_inside(path: Path, run: Path) -> bool:
    """Return whether a path lies in a run's directory, which may be somebody else's."""
    return path.resolve().is_relative_to(run.resolve())


def _changes(one: Input, known: Mapping[str, Any], copy: Input) -> str:
    """Return which files of an input have changed, in words; empty if none has."""
    then = known.get("files")
    then = then if isinstance(then, dict) else {}
    try:
        files = one.files()
    except OSError as error:
        raise InputError(f"'{one.path}' cannot be read ({error.strerror})") from None
    now = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    if now == then or (not one.is_code and _same_values(one.path, copy.path)):
        return ""
    told = [f"{name} edited" for name in now if name in then and now[name] != then[name]]
    told += [f"{name} new" for name in now if name not in then] + [f"{name} gone" for name in then if name not in now]
    return ", ".join(told)


def _same_values(first: Path, second: Path) -> bool:
    """Return whether two YAML or JSON files hold the same values, whatever their comments and layout."""
    try:
        texts = [path.read_text(encoding="utf-8-sig") for path in (first, second)]
        parse = parse_json if first.suffix == ".json" else parse_yaml
        return bool(parse(texts[0], "") == parse(texts[1], ""))
    except (OSError, ValueError):
        return False


def _with(found: Resolved, role: str, one: Input) -> Resolved:
    """Return the inputs with one of them at another path."""
    config, reference = found.config, one.reference
    changes: dict[str, dict[str, Any]] = {
        "space": {"space": reference},
        "evaluator": {"evaluator": {**config.evaluator, "name": reference}},
        "controller": {"controller": {**config.controller, "name": reference}},
        "table": {"evaluator": {**config.evaluator, "path": reference}},
        "device": {"objective": config.objective.model_copy(update={"device": reference})},
    }
    return Resolved(config.model_copy(update=changes[role]), found.messages, found.edited)


def _with_data(found: Resolved, run: Path, known: Mapping[str, Any]) -> Resolved:
    source = found.config.data.source
    if source in data_names() or _DATA not in known or is_there(Path(source)):
        return found
    place = _found(Path(source), known[_DATA], run)
    if place is None:
        return found  # loading the images says that they are gone
    found.messages.append(f"data: found at {place}")
    data = found.config.data.model_copy(update={"source": str(place)})
    return Resolved(found.config.model_copy(update={"data": data}), found.messages, found.edited)
