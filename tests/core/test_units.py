from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.core.errors import InputError
from nas.core.units import format_quantity, parse_count, parse_number, parse_seconds, parse_whole


@pytest.mark.parametrize(
    ("text", "value"),
    [("400M", 4e8), ("0.4G", 4e8), ("4e8", 4e8), ("5.3M", 5.3e6), ("1K", 1e3), ("400m", 4e8), ("1,000", 1e3), (7, 7.0)],
)
def test_counts_parse_as_people_write_them(text: str | float, value: float) -> None:
    assert parse_count(text, "x") == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "abc", "0,4G", "4,00M", "4X", "-3", "0", "nan", "inf", "1e999", "4 0", "M"])
def test_what_is_no_count_is_refused_by_name(text: str) -> None:
    with pytest.raises(InputError, match=r"target: expected a positive quantity such as 400M.*got"):
        parse_count(text, "target")


@pytest.mark.parametrize(("text", "value"), [("20ms", 0.02), ("90", 90), ("10m", 600), ("2h", 7200), ("1.5 s", 1.5)])
def test_durations(text: str, value: float) -> None:
    assert parse_seconds(text, "x") == pytest.approx(value)


@given(st.integers(1, 10**12))
def test_formatted_counts_read_back(value: int) -> None:
    assert parse_count(format_quantity(value), "x") == pytest.approx(value, rel=0.006)


@pytest.mark.parametrize(
    ("text", "value"), [("200", 200), ("5_000", 5000), ("5,000", 5000), ("2e3", 2000), ("-3", -3), ("1.0", 1)]
)
def test_whole_numbers_as_people_write_them(text: str, value: int) -> None:
    assert parse_whole(text) == value and type(parse_whole(text)) is int


@pytest.mark.parametrize(
    ("text", "value"), [("1e-3", 0.001), ("25e-2", 0.25), ("-.5", -0.5), ("5_000", 5000), ("1,000.5", 1000.5)]
)
def test_numbers_as_people_write_them(text: str, value: float) -> None:
    assert parse_number(text) == value


@pytest.mark.parametrize("text", ["2.5", "x", "nan", "1e400", "", "1e20"])
def test_what_is_no_whole_number(text: str) -> None:
    with pytest.raises((ValueError, OverflowError)):
        parse_whole(text)
