"""Reading and writing of stage tables as YAML that people can read and edit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.core.documents import read_yaml, to_yaml
from nas.core.errors import InputError, explain
from nas.search_spaces.network import Network
from nas.search_spaces.parts import DEFAULT_ACTIVATION, EXPAND, Head, Stage, Stem
from nas.search_spaces.yaml_shorthand import resolve

if TYPE_CHECKING:
    from pydantic import TypeAdapter


def network_from_dict(data: Mapping[str, Any], source: str = "network") -> Network:
    """Build a stage table from its YAML form, shorthands included.

    Raises:
        InputError: for unknown or missing keys, wrong types and impossible tables, each named by its key.
    """
    from pydantic import ValidationError

    if not isinstance(data, Mapping):
        raise InputError(f"{source}: expected a mapping of keys to values, got {type(data).__name__}")
    try:
        return _adapter().validate_json(json.dumps(resolve(data), default=str))
    except ValidationError as error:
        raise InputError(explain(error, Network, source)) from None
    except InputError as error:
        raise InputError(f"{source}: {error}") from None


def network_to_dict(network: Network) -> dict[str, Any]:
    """Return the YAML form of a network; most values that equal their defaults are left out."""
    common = {part.activation for part in network.parts}
    shared = common.pop() if len(common) == 1 else DEFAULT_ACTIVATION
    root: dict[str, Any] = {"name": network.name, "resolution": network.resolution, "classes": network.classes}
    root |= {"drop_connect": network.drop_connect}
    for key in ("norm_epsilon", "norm_momentum"):
        if getattr(network, key) != Network.__dataclass_fields__[key].default:
            root[key] = getattr(network, key)
    if shared != DEFAULT_ACTIVATION:
        root["activation"] = shared
    return root | {
        "stem": _plain(network.stem, ("op", "kernel", "stride", "channels"), shared),
        "stages": [_plain(stage, _stage_keys(stage), shared) for stage in network.stages],
        "head": _plain(network.head, ("channels", "dropout"), shared),
    }


def network_to_yaml(network: Network) -> str:
    """Return the YAML text of a stage table, with one line per stage."""
    data = network_to_dict(network)
    lines = [_flow({key: data[key]}) for key in data if key not in ("stem", "stages", "head")]
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
    """Return pydantic's type adapter of ``Network``, which is built once."""
    from pydantic import TypeAdapter

    return TypeAdapter(Network)


def _stage_keys(stage: Stage) -> tuple[str, ...]:
    expand = ("expand",) if stage.op in EXPAND and stage.expand is not None else ()
    return ("op", *expand, "kernel", "stride", "channels", "layers", "se")


def _plain(part: Stem | Stage | Head, always: tuple[str, ...], activation: str) -> dict[str, Any]:
    """Return a part's fields: those in ``always``, and those that differ from their defaults.

    The default of ``activation`` is the activation of the table.
    """
    values = {name: getattr(part, name) for name in always}
    for item in fields(part):
        default = activation if item.name == "activation" else _default(item)
        if item.name not in values and getattr(part, item.name) != default:
            values[item.name] = getattr(part, item.name)
    return values


def _default(item: Field[Any]) -> Any:
    return None if item.default is MISSING else item.default


def _flow(data: Mapping[str, Any], braces: bool = False) -> str:
    text = to_yaml(dict(data), flow=True).strip()
    return text if braces else text[1:-1]
