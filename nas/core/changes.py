"""Changes to a configuration: values by section that override it. Only this module reads dotted keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from nas.core.documents import parse_yaml
from nas.core.errors import InputError, shortened
from nas.core.plain import plain

Changes = Mapping[str, Any]
"""Values by section: ``{"trials": 40, "objective": {"target_flops": "400M"}}``."""


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Convert values by dotted key into values by section.

    Raises:
        InputError: if a key lies below a key that has a plain value.
    """
    changes: dict[str, Any] = {}
    for key, value in values.items():
        changes = laid_over(changes, _at(key, value))
    return changes


def laid_over(
    data: Mapping[str, Any], changes: Changes, default_names: Mapping[str, str] = MappingProxyType({})
) -> dict[str, Any]:
    """Return a configuration with changes merged into it.

    Args:
        data: the configuration.
        changes: the values that override those of the configuration.
        default_names: sections whose keys depend on their ``name``, with their default name. If a change sets
            another name, the section's old keys are dropped.

    Raises:
        InputError: if a changed key lies below a plain value.
    """
    laid = dict(data)
    for key, value in changes.items():
        if not isinstance(value, Mapping):
            laid[key] = plain(value)
            continue
        inner = {} if laid.get(key) is None else laid[key]
        if not isinstance(inner, Mapping):
            raise InputError(f"'{key}' holds the plain value {inner!r} and has no keys")
        if key in default_names and "name" in value and value["name"] != inner.get("name", default_names[key]):
            inner = {}
        laid[key] = laid_over(inner, value)
    return laid


def with_assignments(
    data: Mapping[str, Any], assignments: Sequence[str], default_names: Mapping[str, str] = MappingProxyType({})
) -> dict[str, Any]:
    """Return a configuration with ``key.path=value`` assignments merged into it in order; values are YAML.

    Raises:
        InputError: if an assignment does not have that form.
    """
    laid = dict(data)
    for assignment in assignments:
        key, separator, text = assignment.partition("=")
        if not separator or not key:
            raise InputError(f"--set: expected key.path=value, got '{shortened(assignment)}'")
        value = parse_yaml(text, f"--set {shortened(key)}")
        if isinstance(value, Mapping):  # a mapping replaces the old value
            laid = laid_over(laid, _at(key, None))
        laid = laid_over(laid, _at(key, value), default_names)
    return laid


def _at(key: str, value: Any) -> dict[str, Any]:
    """Return a mapping with one value nested under its dotted key."""
    first, _, rest = key.partition(".")
    return {first: _at(rest, value) if rest else value}
