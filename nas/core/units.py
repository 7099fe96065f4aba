"""Quantities as people write them: ``400M``, ``0.4G``, ``4e8``, ``5.3M``, ``20MB``, ``20ms``, ``10m``."""

from __future__ import annotations

import math
import re

from nas.core.errors import InputError, shortened

_COUNT = {"": 1.0, "K": 1e3, "M": 1e6, "G": 1e9, "B": 1e9, "T": 1e12}
_BYTES = {f"{unit}{suffix}": value for unit, value in _COUNT.items() for suffix in ("", "B") if unit != "B"}
_BYTES |= {"KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30}
_SECONDS = {"": 1.0, "ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_MILLISECONDS = {"": 1.0, "us": 1e-3, "ms": 1.0, "s": 1e3}
_GROUPED = re.compile(r"[-+]?[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]*)?")
_MOST_WHOLE = 2**53  # larger floats skip whole numbers
_MOST_CHARACTERS = 100
_FORM = re.compile(
    r"\s*((?:[0-9]{1,3}(?:[,_][0-9]{3})+|[0-9]+)\.?[0-9]*(?:[eE][+-]?[0-9]+)?|\.[0-9]+)\s*([a-zA-Z]*)\s*"
)


def parse_number(text: str) -> float:
    """Parse a number as people write it: ``1e-3``, ``25e-2``, ``5_000``, ``-0.5``.

    Raises:
        ValueError: if it is not a finite number.
    """
    value = float(text.strip().replace(",", "")) if _GROUPED.fullmatch(text.strip()) else float(text)
    if not math.isfinite(value):
        raise ValueError(f"expected a finite number, got '{shortened(text, 60)}'")
    return value


def parse_whole(text: str) -> int:
    """Parse a whole number as people write it: ``200``, ``5_000``, ``5,000``, ``2e3``.

    Raises:
        ValueError: if it is not a whole number.
    """
    try:
        return int(text)
    except ValueError:
        value = parse_number(text)
    if value != int(value) or abs(value) > _MOST_WHOLE:
        raise ValueError(f"expected a whole number, got '{shortened(text, 60)}'")
    return int(value)


def parse_count(text: str | float, what: str) -> float:
    """Parse MACs, params and the like: a number with an optional K, M, G (or B), T.

    Raises:
        InputError: naming ``what``, if it is not a positive quantity.

    Examples:
        >>> parse_count("400M", "MACs"), parse_count("0.4G", "MACs"), parse_count("4e8", "MACs")
        (400000000.0, 400000000.0, 400000000.0)
    """
    return _parse(
        text, what, {**_COUNT, **{unit.lower(): value for unit, value in _COUNT.items()}}, "400M, 0.4G or 4e8"
    )


def parse_bytes(text: str | float, what: str) -> float:
    """Parse bytes: a number with an optional KB, MB, GB (or KiB, MiB, GiB).

    Raises:
        InputError: naming ``what``, if it is not a positive quantity.
    """
    units = {**_BYTES, **{unit.lower(): value for unit, value in _BYTES.items()}}
    return _parse(text, what, units, "20MB, 512KiB or 2e7")


def parse_seconds(text: str | float, what: str) -> float:
    """Parse a duration in seconds: a number with an optional ms, s, m (or min), h.

    Raises:
        InputError: naming ``what``, if it is not a positive duration.
    """
    return _parse(text, what, _SECONDS, "90, 90s, 10m or 2h")


def parse_milliseconds(text: str | float, what: str) -> float:
    """Parse a latency in ms: a number with an optional us, ms, s.

    Raises:
        InputError: naming ``what``, if it is not a positive latency.
    """
    return _parse(text, what, _MILLISECONDS, "20ms, 800us or 3")


def format_quantity(value: float) -> str:
    """Write a count with three or four digits and its unit.

    Examples:
        >>> format_quantity(385_814_752), format_quantity(1.83e9), format_quantity(960)
        ('385.8M', '1.83G', '960')
    """
    for unit in ("T", "G", "M", "K"):
        if abs(value) >= _COUNT[unit]:
            scaled = value / _COUNT[unit]
            return f"{scaled:.2f}{unit}" if scaled < 10 else f"{scaled:.1f}{unit}"
    return f"{value:g}"


def short_quantity(value: float) -> str:
    """Write a count as people do, with its unit and without trailing zeros; it reads as the same count.

    Examples:
        >>> short_quantity(4e6), short_quantity(1_830_000_000), short_quantity(960)
        ('4M', '1.83G', '960')
    """
    for unit in ("T", "G", "M", "K"):
        if abs(value) >= _COUNT[unit]:
            return f"{value / _COUNT[unit]:.10g}{unit}"
    return f"{value:g}"


def count_words(count: int, noun: str) -> str:
    """Write a count with its noun.

    Examples:
        >>> count_words(1, "network"), count_words(5000, "trial")
        ('1 network', '5,000 trials')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _parse(text: str | float, what: str, units: dict[str, float], examples: str) -> float:
    match = _FORM.fullmatch(str(text)) if len(str(text)) <= _MOST_CHARACTERS else None
    value = math.nan
    if match and match.group(2) in units:
        value = float(match.group(1).replace(",", "").replace("_", "")) * units[match.group(2)]
    if not (math.isfinite(value) and value > 0):
        raise InputError(f"{what}: expected a positive quantity such as {examples}, got '{shortened(str(text), 60)}'")
    return value


def format_duration(seconds: float) -> str:
    """Write a duration as ``0.5 s``, ``45 s``, ``12 min`` or ``3.4 h``."""
    if 0 < seconds < 3:
        return f"{seconds:.1f} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
