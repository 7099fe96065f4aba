from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nas.evaluate.objective.pareto import pareto_front

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
