"""The base class of a configuration's sections, and the types of its quantities."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, Any, TypeVar, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, ValidationInfo, field_validator

from nas.core.errors import InputError, explain
from nas.core.units import parse_bytes, parse_count, parse_milliseconds, parse_seconds


class Section(BaseModel):
    """A part of a configuration. Unknown keys, infinities and NaN are refused."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False, frozen=True)

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_for_numbers(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse ``true`` and ``yes`` where a number is expected, instead of reading them as 1."""
        if isinstance(value, bool) and {int, float} & set(_kinds(cls.model_fields[str(info.field_name)].annotation)):
            raise ValueError(f"expected a number, got {value} (YAML reads yes, on and true as a truth value)")
        return value


def _kinds(annotation: Any) -> Iterator[Any]:
    """Yield the types of an annotation, those of a union one by one; nothing if it takes truth values."""
    kinds = get_args(annotation) or (annotation,)
    if bool not in kinds:
        yield from kinds


SectionType = TypeVar("SectionType", bound=BaseModel)


def validated(kind: type[SectionType], values: Any, source: str, prefix: str = "") -> SectionType:
    """Validate values and return them as a section.

    Args:
        kind: class of the section.
        values: the section's values by key.
        source: where the values came from, for the error message.
        prefix: text before every key in the error message, such as ``evaluator.``.

    Raises:
        InputError: naming the key, what was expected, what was given and the nearest valid name.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise InputError(explain(error, kind, source, prefix)) from None


def _quantity(parse: Callable[[Any, str], float], name: str) -> BeforeValidator:
    return BeforeValidator(lambda value: None if value is None else parse(value, name))


Count = Annotated[float | None, _quantity(parse_count, "MACs")]
"""Multiply-adds, written as ``400M``."""
Throughput = Annotated[float | None, _quantity(parse_count, "images a second")]
"""Images per second."""
Milliseconds = Annotated[float | None, _quantity(parse_milliseconds, "latency")]
"""A latency in ms, written as ``3ms``."""
Bytes = Annotated[float | None, _quantity(parse_bytes, "memory")]
"""Memory in bytes, written as ``4GB``."""
Seconds = Annotated[float | None, _quantity(parse_seconds, "duration")]
"""A duration in seconds, written as ``10m``."""
