"""The one reader of YAML and JSON from files, flags and journals, with limits on size, depth and magnitude.

A document within the limits holds plain values only: text without lone surrogates, finite numbers that fit a float,
truth values, ``null``, lists, and mappings with text as keys.
"""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import yaml

from nas.core.errors import InputError, shortened

MOST_DEPTH = 50
"""Levels of nesting that a document may have."""
MOST_VALUES = 2_000_000
"""Values that a document may hold; in YAML, every use of an alias counts."""
MOST_YAML_BYTES = 4 * 2**20
MOST_JSON_BYTES = 512 * 2**20
_MOST_DIGITS = 300  # of a whole number; a float holds 308

_BRACKETS = re.compile(r'"(?:\\.|[^"\\\n])*"|\[|\]|\{|\}')
_SURROGATE = re.compile("[\ud800-\udfff]")
_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file that holds one mapping.

    Raises:
        InputError: if the file is absent or unreadable, is not valid YAML, exceeds a limit, or does not hold a mapping.
    """
    data = parse_yaml(read_text(path, MOST_YAML_BYTES), str(path))
    if not isinstance(data, dict):
        raise InputError(f"{path}: expected a mapping of keys to values, got {type(data).__name__}")
    return data


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        InputError: if the file is absent or unreadable, is not valid JSON, or exceeds a limit.
    """
    return parse_json(read_text(path, MOST_JSON_BYTES), str(path))


def read_mapping(path: Path) -> dict[str, Any]:
    """Return the mapping in a JSON file that this program wrote; empty if there is none, or it is damaged."""
    try:
        data = read_json(path)
    except InputError:
        return {}
    return data if isinstance(data, dict) else {}


def read_text(path: Path, most_bytes: int = MOST_YAML_BYTES) -> str:
    """Read a UTF-8 text file, with or without a byte order mark.

    Raises:
        InputError: if it is absent, unreadable, larger than ``most_bytes``, or not UTF-8.
    """
    try:
        size = path.stat().st_size
        if size > most_bytes:
            raise InputError(f"{path}: cannot be read (expected at most {most_bytes:,} bytes, got {size:,})")
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"{shortened(str(path), 200)}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: cannot be read (not UTF-8 text)") from None
    except ValueError as error:  # a null character in the path
        raise InputError(f"{path!r}: cannot be read ({error})") from None


def parse_yaml(text: str, source: str) -> Any:
    """Parse one YAML document.

    Numbers are read as people write them: ``1e-3``, ``4e8`` and ``5_000`` are numbers, ``010`` is ten. ``1:30`` and
    dates are text.

    Args:
        text: the document.
        source: where it came from, for the error message.

    Raises:
        InputError: if it is not valid YAML, or exceeds a limit.
    """
    _check_nesting(text, source)
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            _check_size(node, source)
            data = loader.construct_document(node)
        finally:
            loader.dispose()
    except RecursionError:
        raise _too_deep(source) from None
    except yaml.MarkedYAMLError as error:
        where = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise InputError(f"{source}: is not valid YAML: {where}{shortened(str(error.problem or error))}") from None
    except (yaml.YAMLError, ValueError, OverflowError, TypeError) as error:
        raise InputError(f"{source}: is not valid YAML: {shortened(' '.join(str(error).split()))}") from None
    _check_values(data, source)
    return data


def parse_json(text: str | bytes, source: str) -> Any:
    """Parse one JSON document.

    Raises:
        InputError: if it is not valid JSON, or exceeds a limit.
    """
    try:
        data = json.loads(text, parse_int=_whole, parse_float=_finite, parse_constant=_finite)
    except RecursionError:
        raise _too_deep(source) from None
    except (ValueError, UnicodeDecodeError) as error:
        raise InputError(f"{source}: is not valid JSON: {shortened(str(error))}") from None
    _check_depth(data, source)
    plain = text.decode(errors="replace") if isinstance(text, bytes) else text
    if _ESCAPED_SURROGATE.search(plain) or _SURROGATE.search(plain):
        _check_values(data, source)
    return data


def _whole(text: str) -> int:
    if len(text) > _MOST_DIGITS:
        raise ValueError(f"a whole number of {len(text):,} digits, expected at most {_MOST_DIGITS}")
    return int(text)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {shortened(text, 40)} is not finite")
    return value


def _too_deep(source: str) -> InputError:
    return InputError(f"{source}: is nested too deeply; expected at most {MOST_DEPTH} levels")


def _check_nesting(text: str, source: str) -> None:
    """Check the nesting of brackets before parsing, because PyYAML's time grows with the square of the depth."""
    depth = 0
    for match in _BRACKETS.finditer(text):
        if (bracket := match.group()) in "[{":
            depth += 1
            if depth > 2 * MOST_DEPTH:
                raise _too_deep(source)
        elif bracket in "]}":
            depth = max(0, depth - 1)


def _check_depth(data: Any, source: str) -> None:
    level, depth = [data], 0
    while level:
        depth += 1
        if depth > MOST_DEPTH + 1:
            raise _too_deep(source)
        level = [
            item
            for value in level
            for item in (value.values() if isinstance(value, dict) else value if isinstance(value, list) else ())
            if isinstance(item, (dict, list))
        ]


def _check_values(data: Any, source: str) -> None:
    """Check the depth, the numbers and the text of parsed values."""
    _check_depth(data, source)
    waiting = [data]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting += [*value.keys(), *value.values()]
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, str):
            if _SURROGATE.search(value):
                raise InputError(f"{source}: holds text that is not valid Unicode (a lone surrogate)")
        elif isinstance(value, int) and abs(value) >= 10**_MOST_DIGITS:
            raise InputError(f"{source}: holds a whole number of more than {_MOST_DIGITS} digits")


def _check_size(root: yaml.Node, source: str) -> None:
    """Check that a document has few enough values and levels, counting every use of an alias."""
    sizes: dict[int, int] = {}

    def size(node: yaml.Node, depth: int) -> int:
        if depth > MOST_DEPTH:
            raise _too_deep(source)
        if (known := sizes.get(id(node))) is not None:
            return known
        sizes[id(node)] = MOST_VALUES + 1  # until it is known: an alias inside its own anchor has no end
        parts: list[yaml.Node] = []
        if isinstance(node, yaml.MappingNode):
            parts = [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            parts = node.value
        sizes[id(node)] = 1 + sum(size(part, depth + 1) for part in parts)
        return sizes[id(node)]

    if size(root, 0) > MOST_VALUES:
        raise InputError(f"{source}: its aliases stand for more than {MOST_VALUES:,} values, or for themselves")


class _Loader(yaml.SafeLoader):
    """A safe YAML loader that reads plain values only, and refuses repeated keys and keys that are not text."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: dict[str, None] = {}
        for key, _ in node.value:
            mark = key.start_mark
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(problem="a key is a list or mapping, expected text", problem_mark=mark)
            if key.tag == "tag:yaml.org,2002:merge":
                continue
            if key.tag != "tag:yaml.org,2002:str":
                problem = f"the key {key.value} is not text; write it in quotes: '{key.value}'"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=mark)
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"the key '{key.value}' occurs twice", problem_mark=mark)
            seen[key.value] = None
        return super().construct_mapping(node, deep)

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        text = self.construct_scalar(node).replace("_", "")
        return int(text, 0) if text.lstrip("+-")[:2].lower() in ("0x", "0o", "0b") else _whole(text)

    def construct_yaml_float(self, node: yaml.ScalarNode) -> float:
        text = self.construct_scalar(node).replace("_", "").lower()
        return float(text.replace(".inf", "inf").replace(".nan", "nan"))


_INT = re.compile(r"[-+]?(?:0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+|[0-9][0-9_]*)$")
_FLOAT = re.compile(
    r"[-+]?(?:(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)?|[0-9][0-9_]*[eE][-+]?[0-9]+"
    r"|\.(?:inf|Inf|INF))$|\.(?:nan|NaN|NAN)$"
)


class _Dumper(yaml.SafeDumper):
    """Writes text so that ``parse_yaml`` reads it back as text: it is quoted wherever a reader may see a number."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


def to_yaml(data: Any, flow: bool = False) -> str:
    """Return plain values as YAML text that ``parse_yaml`` reads back.

    Args:
        data: the values.
        flow: whether to write them in one line.
    """
    text: str = yaml.dump(data, Dumper=_Dumper, sort_keys=False, default_flow_style=flow, width=10_000 if flow else 100)
    return text.removesuffix("...\n") if flow else text


def _set_up_loader() -> None:
    """Replace PyYAML's forms of numbers, and read dates as text. Everything that may be a number is written quoted."""
    dropped = {f"tag:yaml.org,2002:{name}" for name in ("int", "float", "timestamp")}
    _Loader.yaml_implicit_resolvers = {
        first: [(tag, form) for tag, form in forms if tag not in dropped]
        for first, forms in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    _Loader.add_implicit_resolver("tag:yaml.org,2002:int", _INT, list("-+0123456789"))
    _Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+0123456789."))
    _Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)
    _Loader.add_constructor("tag:yaml.org,2002:float", _Loader.construct_yaml_float)
    theirs, ours = yaml.SafeDumper.yaml_implicit_resolvers, _Loader.yaml_implicit_resolvers
    _Dumper.yaml_implicit_resolvers = {
        first: [*theirs.get(first, []), *ours.get(first, [])] for first in {*theirs, *ours}
    }
    for name in ("timestamp", "binary", "set", "omap", "pairs"):
        _Loader.add_constructor(f"tag:yaml.org,2002:{name}", _refuse)


def _refuse(loader: yaml.SafeLoader, node: yaml.Node) -> Any:  # noqa: ARG001
    raise yaml.MarkedYAMLError(problem=f"the tag {node.tag} is not known here", problem_mark=node.start_mark)


_set_up_loader()
