"""The shorthands of a stage table, and the plain fields that they stand for.

- ``activation`` at the root: the activation of every part that does not set its own.
- ``width`` at the root: a factor on all channels, rounded as ``nas scale --width`` does.
- ``width`` in a stage: a factor on its channels, rounded in the same way; ``extra_layers``: the number of layers to
  add, or to remove if negative; at least one layer remains (MnasNet's choices relative to MobileNetV2, arXiv
  1807.11626, section 4.1).
- ``op: mbconv6``: ``op: mbconv`` with ``expand: 6``, so that one choice decides both.
- a stage as text: Google's block notation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nas.core.errors import InputError
from nas.search_spaces.google_blocks import check_inputs, parse_block
from nas.search_spaces.rounding import round_channels

_MBCONV = re.compile(r"mbconv([0-9]+(?:\.[0-9]+)?)")
MODIFIERS = ("width", "activation")


@dataclass(frozen=True, slots=True)
class Modifiers:
    """Values at the root of a table that apply to all of its parts."""

    width: float = 1.0
    activation: str | None = None

    @classmethod
    def of(cls, root: Mapping[str, Any]) -> Modifiers:
        """Read the modifiers from the root's values.

        Raises:
            InputError: if the width is not a number above 0 and at most 100.
        """
        return cls(_factor(root.get("width", 1.0), "width"), root.get("activation"))


def resolve(form: Mapping[str, Any]) -> dict[str, Any]:
    """Return the plain YAML form that a table with shorthands stands for.

    Raises:
        InputError: for invalid shorthands; the plain fields are checked elsewhere.
    """
    modifiers = Modifiers.of(form)
    plain = {key: value for key, value in form.items() if key not in MODIFIERS}
    for part in ("stem", "head"):
        if isinstance(form.get(part), Mapping):
            plain[part] = resolve_part(form[part], modifiers)
    stages = form.get("stages")
    if isinstance(stages, list):
        plain["stages"] = [
            _resolve_row(row, modifiers, f"stages[{index}]") if isinstance(row, (Mapping, str)) else row
            for index, row in enumerate(stages)
        ]
        _check_stated_inputs(form)
    return plain


def resolve_part(values: Mapping[str, Any], modifiers: Modifiers) -> dict[str, Any]:
    """Return the plain values of the stem or the head."""
    plain = dict(values)
    for key in ("channels", "hidden"):
        if key in plain:
            plain[key] = _scaled(plain[key], modifiers.width)
    return plain if modifiers.activation is None else {"activation": modifiers.activation} | plain


def resolve_stage(values: Mapping[str, Any], modifiers: Modifiers, where: str) -> dict[str, Any]:
    """Return the plain values of a stage that is a mapping.

    Raises:
        InputError: naming ``where`` and the key.
    """
    plain = resolve_part(values, Modifiers(activation=modifiers.activation))
    if isinstance(op := plain.get("op"), str) and (match := _MBCONV.fullmatch(op)):
        if "expand" in plain:
            raise InputError(f"{where}.expand: op '{op}' already sets it; leave expand out, or write op: mbconv")
        plain |= {"op": "mbconv", "expand": _plain_number(float(match[1]))}
    width = _factor(plain.pop("width", 1.0), f"{where}.width")
    if "channels" in plain:
        plain["channels"] = _scaled(_scaled(plain["channels"], width), modifiers.width)
    extra = plain.pop("extra_layers", 0)
    if not isinstance(extra, int) or isinstance(extra, bool):
        raise InputError(f"{where}.extra_layers: expected a whole number, got {extra!r}")
    if extra and isinstance(layers := plain.get("layers", 1), int):
        plain["layers"] = max(1, layers + extra)
    return plain


def _resolve_row(row: Mapping[str, Any] | str, modifiers: Modifiers, where: str) -> dict[str, Any]:
    return resolve_stage(parse_block(row, where)[0] if isinstance(row, str) else row, modifiers, where)


def _check_stated_inputs(form: Mapping[str, Any]) -> None:
    """Check the input channels that block notations state, before any width factor."""
    stem = form.get("stem")
    arriving = stem.get("channels") if isinstance(stem, Mapping) else None
    for index, row in enumerate(form["stages"]):
        values, stated = parse_block(row) if isinstance(row, str) else (row, None)
        if isinstance(arriving, int):
            check_inputs(stated, arriving, f"stages[{index}]")
        arriving = values.get("channels") if isinstance(values, Mapping) else None


def _scaled(channels: Any, width: float) -> Any:
    """Scale a channel count. An invalid count is returned unchanged; the checks of the plain fields report it."""
    whole = isinstance(channels, int) and not isinstance(channels, bool) and channels > 0
    return round_channels(channels, width) if whole else channels


def _factor(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= 100:
        raise InputError(f"{where}: expected a factor above 0 and at most 100, got {value!r}")
    return float(value)


def _plain_number(value: float) -> int | float:
    return int(value) if value == int(value) else value
