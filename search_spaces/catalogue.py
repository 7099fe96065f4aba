"""Look-up by name: shipped spaces, reference networks, spaces of installed packages and the user's own files.

A package provides a space through the entry point group ``nas.search_spaces``. The name of the entry point is the
name of the space, and its value is a class or function that makes the space.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from nas.core.errors import InputError, nearest_name
from nas.core.files import expanded
from nas.core.user_code import UserCode, describe, kept_directory
from nas.search_spaces.network import Network
from nas.search_spaces.space import SearchSpace
from nas.search_spaces.stage_table import StageTableSpace
from nas.search_spaces.user_space import UserSpace
from nas.search_spaces.yaml_format import load_network

_HERE = Path(__file__).parent


ENTRY_POINTS = "nas.search_spaces"


@cache
def installed_spaces() -> dict[str, EntryPoint]:
    """Return the spaces of installed packages by name, except those with the name of a shipped space."""
    found = {point.name: point for point in entry_points(group=ENTRY_POINTS)}
    return {name: found[name] for name in sorted(found) if name not in space_names()}


@cache
def space_names() -> tuple[str, ...]:
    """Return the names of the shipped spaces."""
    return tuple(sorted(path.stem for path in _HERE.glob("*.yaml")))


@cache
def reference_names() -> tuple[str, ...]:
    """Return the names of the reference networks that are shipped as stage tables."""
    return tuple(sorted(path.stem for path in (_HERE / "networks").glob("*.yaml")))


def reference_network(name: str) -> Network:
    """Return a shipped reference network.

    Examples:
        >>> [stage.channels for stage in reference_network("mnasnet_a1").stages]
        [16, 24, 40, 80, 112, 160, 320]
    """
    return load_network(_HERE / "networks" / f"{name}.yaml")


def load_space(reference: str) -> SearchSpace:
    """Return a space by ``NAME``, ``FILE.yaml`` or ``FILE.py:Class``.

    Raises:
        InputError: if there is no such space, or the file does not define a space.
    """
    source = space_source(reference)
    if source is not None:
        return instantiate_space(source)
    if reference in space_names():
        return StageTableSpace.from_yaml(_HERE / f"{reference}.yaml")
    if reference.endswith((".yaml", ".yml")):
        return StageTableSpace.from_yaml(expanded(reference))
    raise InputError(
        f"space: expected a shipped space, FILE.yaml or FILE.py:Class, got '{reference}'"
        f"{nearest_name(reference, (*space_names(), *installed_spaces()))}"
    )


def space_source(reference: str) -> UserCode | str | None:
    """Return the source or entry point name of a user's space, from which any process can make it; else ``None``.

    Raises:
        InputError: if the file cannot be read or run.
    """
    code = UserCode.read(reference, "space")
    if code is None and reference not in space_names() and reference in installed_spaces():
        return reference
    return code


def instantiate_space(source: UserCode | str) -> SearchSpace:
    """Make a user's space from its source or its entry point's name.

    Raises:
        InputError: if its constructor fails or the object does not honour the contract.
    """
    label, path = (source, None) if isinstance(source, str) else (source.class_name, source.path)
    try:
        if isinstance(source, str):
            if source not in installed_spaces():
                raise InputError(f"space: no installed package offers '{source}' on this machine")
            space = installed_spaces()[source].load()()
        else:
            kind = source.load()
            with kept_directory():
                space = kind()
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"space: {label}() failed: {describe(error, path)}") from error
    return space if isinstance(space, StageTableSpace) else UserSpace(space, f"space {label}", path)
