"""Stage tables as YAML that a person can read and edit, both ways."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from nas.search_spaces.errors import InputError, explain
from nas.search_spaces.network import Head, Network, Stage, Stem

if TYPE_CHECKING:
    from pydantic import TypeAdapter


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file that holds one mapping.

    Raises:
        InputError: if it is absent, unreadable, no YAML, or no mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({_reason(error)})") from None
    try:
        data = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:  # a ValueError is YAML's for impossible dates
        raise InputError(f"{path}: is no valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(data, dict):
        raise InputError(f"{path}: expected a mapping of keys to values, got {type(data).__name__}")
    return data


def network_from_dict(data: Mapping[str, Any], source: str = "network") -> Network:
    """Build a stage table from its YAML form.

    Raises:
        InputError: for unknown or missing keys, wrong types and impossible tables, each named by its key.
    """
    from pydantic import ValidationError

    try:
        return _adapter().validate_json(json.dumps(data, default=str))
    except ValidationError as error:
        raise InputError(explain(error, Network, source)) from None


def network_to_dict(network: Network) -> dict[str, Any]:
    """Return the YAML form; what stands at its default is left out where a reader would not miss it."""
    return {
        "name": network.name,
        "resolution": network.resolution,
        "classes": network.classes,
        "drop_connect": network.drop_connect,
        "stem": _plain(network.stem, always=("op", "kernel", "stride", "channels")),
        "stages": [
            _plain(stage, always=("op", "expand", "kernel", "stride", "channels", "layers", "se"))
            for stage in network.stages
        ],
        "head": _plain(network.head, always=("channels", "dropout")),
    }


def network_to_yaml(network: Network) -> str:
    """Return the YAML text of a stage table, one line a stage."""
    data = network_to_dict(network)
    lines = [_flow({key: data[key]}) for key in ("name", "resolution", "classes", "drop_connect")]
    lines.append(f"stem: {_flow(data['stem'], braces=True)}")
    lines.append("stages:")
    lines += [f"  - {_flow(stage, braces=True)}" for stage in data["stages"]]
    lines.append(f"head: {_flow(data['head'], braces=True)}")
    return "\n".join(lines) + "\n"


def load_network(path: Path) -> Network:
    """Read a network's YAML file."""
    return network_from_dict(read_yaml(path), str(path))


@cache
def _adapter() -> TypeAdapter[Network]:
    """Pydantic's view of the plain dataclasses, built once."""
    from pydantic import TypeAdapter

    return TypeAdapter(Network)


def _plain(part: Stem | Stage | Head, always: tuple[str, ...]) -> dict[str, Any]:
    values = {name: getattr(part, name) for name in always}
    for item in fields(part):
        if item.name not in values and getattr(part, item.name) != _default(item):
            values[item.name] = getattr(part, item.name)
    return values


def _default(item: Field[Any]) -> Any:
    return None if item.default is MISSING else item.default


def _flow(data: Mapping[str, Any], braces: bool = False) -> str:
    text = yaml.safe_dump(dict(data), default_flow_style=True, sort_keys=False, width=10_000).strip()
    return text if braces else text[1:-1]


def _reason(error: Exception) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else "not UTF-8 text"
