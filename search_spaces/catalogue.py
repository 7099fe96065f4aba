"""What can be named: the shipped spaces and reference networks, and files of a user's own."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from nas.search_spaces.errors import InputError, nearest_name
from nas.search_spaces.network import Network
from nas.search_spaces.network_yaml import load_network
from nas.search_spaces.space import SearchSpace
from nas.search_spaces.stage_table_space import StageTableSpace
from nas.search_spaces.user_code import UserCode, describe
from nas.search_spaces.user_space import UserSpace

_HERE = Path(__file__).parent


@cache
def space_names() -> tuple[str, ...]:
    """Return the names of the shipped spaces."""
    return tuple(sorted(path.stem for path in _HERE.glob("*.yaml")))


@cache
def reference_names() -> tuple[str, ...]:
    """Return the names of the reference networks that are shipped as stage tables."""
    return tuple(sorted(path.stem for path in (_HERE / "networks").glob("*.yaml")))


def reference_network(name: str) -> Network:
    """Return a shipped reference network."""
    return load_network(_HERE / "networks" / f"{name}.yaml")


def load_space(reference: str) -> SearchSpace:
    """Return a space by ``NAME``, ``FILE.yaml`` or ``FILE.py:Class``.

    Raises:
        InputError: if there is no such space, or what is there is no space.
    """
    code = UserCode.read(reference, "space")
    if code is not None:
        return instantiate_space(code)
    if reference in space_names():
        return StageTableSpace.from_yaml(_HERE / f"{reference}.yaml")
    if reference.endswith((".yaml", ".yml")):
        return StageTableSpace.from_yaml(Path(reference).expanduser())
    raise InputError(
        f"space: expected a shipped space, FILE.yaml or FILE.py:Class, got '{reference}'"
        f"{nearest_name(reference, space_names())}"
    )


def instantiate_space(code: UserCode) -> SearchSpace:
    """Make a user's space from its source.

    Raises:
        InputError: if its constructor fails or the object does not honour the contract.
    """
    try:
        space = code.load()()
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"space: {code.class_name}() failed: {describe(error, code.path)}") from error
    return UserSpace(space, f"space {code.class_name}", code.path)
