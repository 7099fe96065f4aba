"""Quantities, reward, Pareto front, known costs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from nas.core.errors import InputError
from nas.core.records import Architecture
from nas.core.units import format_quantity, parse_count, parse_seconds
from nas.evaluate.cost.known_costs import KnownCosts
from nas.evaluate.objective.pareto import pareto_front
from nas.evaluate.objective.reward import EXPONENTS, Factor, Reward


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


def test_soft_reward_prices_a_doubling_at_five_percent() -> None:
    soft = Factor("macs", 75, *EXPONENTS["soft"])
    assert soft({"macs": 150}) == pytest.approx(2**-0.07)
    assert soft({"macs": 37.5}) == pytest.approx(2**0.07)
    assert 0.5 * 1.05 * soft({"macs": 150}) == pytest.approx(0.5 * soft({"macs": 75}), rel=1e-3)


def test_hard_reward_is_flat_below_and_inverse_above() -> None:
    hard = Reward((Factor("macs", 80, *EXPONENTS["hard"]),))
    assert hard({"accuracy": 0.5, "macs": 40}) == 0.5
    assert hard({"accuracy": 0.5, "macs": 80}) == 0.5
    assert hard({"accuracy": 0.5, "macs": 160}) == 0.25


def test_rewards_multiply_factors() -> None:
    assert Reward()({"accuracy": 0.7}) == 0.7
    both = Reward((Factor("macs", 10, -1, -1), Factor("params", 5, 0, -2)))
    assert both({"accuracy": 0.8, "macs": 20, "params": 10}) == pytest.approx(0.8 / 2 / 4)
    with pytest.raises(KeyError):
        both({"accuracy": 0.8, "macs": 20})


ROWS = st.lists(
    st.fixed_dictionaries({"accuracy": st.integers(0, 4), "macs": st.integers(0, 4), "params": st.integers(0, 4)}),
    max_size=12,
)


@given(ROWS)
def test_front_against_brute_force(rows: list[dict[str, float]]) -> None:
    def dominates(one: dict[str, float], other: dict[str, float]) -> bool:
        better = (one["accuracy"] >= other["accuracy"], one["macs"] <= other["macs"], one["params"] <= other["params"])
        return all(better) and one != other

    def values(row: dict[str, float]) -> tuple[float, ...]:
        return row["accuracy"], row["macs"], row["params"]

    expected = [row for row in rows if not any(dominates(other, row) for other in rows)]
    front = pareto_front(rows)
    assert {values(rows[index]) for index in front} == {values(row) for row in expected}
    assert len(front) == len({values(row) for row in expected})
    assert [rows[index]["accuracy"] for index in front] == sorted((rows[i]["accuracy"] for i in front), reverse=True)


def test_front_without_costs_is_the_best() -> None:
    assert pareto_front([{"accuracy": 0.1}, {"accuracy": 0.3}, {"accuracy": 0.2}]) == [1]


class _Built:
    name, gene_sizes, resolution = "built", (2,), 8

    def build(self, architecture: Architecture) -> nn.Module:
        return nn.Conv2d(3, 4 + architecture.genes[0], 3, padding=1, bias=False)


def test_modules_are_counted_on_the_meta_device() -> None:
    costs = KnownCosts(_Built())
    assert costs(Architecture("built", (1,))) == {"macs": 5 * 27 * 64, "params": 135, "weight_bytes": 540}
    without = type("NoResolution", (), {"name": "n", "gene_sizes": (2,), "build": _Built.build})()
    assert KnownCosts(without)(Architecture("n", (0,))) == {"params": 108, "weight_bytes": 432}


def test_spaces_own_costs_come_first_and_must_fit() -> None:
    class Own:
        name, gene_sizes = "own", (3,)

        def costs(self, genes: np.ndarray) -> dict[str, np.ndarray]:
            return {"macs": genes[:, 0] * 10, "joules": genes[:, 0] / 2}

    assert KnownCosts(Own())(Architecture("own", (2,))) == {"macs": 20, "joules": 1.0}
    wrong = type("Wrong", (), {"name": "w", "gene_sizes": (3,), "costs": lambda self, genes: {"macs": genes}})()
    with pytest.raises(InputError, match=r"costs\(genes\)\['macs'\]: expected an array of shape"):
        KnownCosts(wrong)(Architecture("w", (0,)))


def test_table_spaces_have_no_costs() -> None:
    table = type("Table", (), {"name": "t", "gene_sizes": (3,)})()
    assert KnownCosts(table)(Architecture("t", (0,))) == {}
