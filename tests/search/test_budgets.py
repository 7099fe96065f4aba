"""Several budgets as one folder of searches: targets, shares of the time, and the family that comes of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from nas.core.errors import InputError
from nas.search.budget_family import FamilyMember, dominated
from nas.search.budgets import BUDGETS, Budgets, search_budgets, targets_of
from nas.search.config import load_config


def test_several_targets_are_told_from_one() -> None:
    assert targets_of({"objective": {"target_flops": "8M, 4M,4e6"}}) == (4e6, 8e6)
    objectives: list[dict[str, object]] = [{}, {"target_flops": "4M"}, {"target_flops": 4e6}]
    assert targets_of({}) == () and all(targets_of({"objective": one}) == () for one in objectives)
    with pytest.raises(InputError, match="--target-flops"):
        targets_of({"objective": {"target_flops": "4M,much"}})


@pytest.mark.parametrize(("budget", "each"), [(None, None), ("2h", "3600s"), ("3gpuh", "1.5gpuh"), ("8cpuh", "4cpuh")])
def test_a_time_budget_is_shared(budget: str | None, each: str | None, tmp_path: Path) -> None:
    config = load_config(None, {} if budget is None else {"budget": budget}, [])
    budgets = Budgets(tmp_path / "new", config, (4e6, 8.5e6))
    assert {path.name for path in budgets.runs.values()} == {"4M", "8.5M"}
    one = budgets.config_of(8.5e6)
    assert one.objective.target_flops == 8.5e6 and one.budget == each and not one.report


def test_the_folder_is_read_as_it_was_written(tmp_path: Path) -> None:
    budgets = Budgets(tmp_path / "new", load_config(None, {"trials": 7}, []), (4e6, 8e6))
    assert Budgets.read(tmp_path) is None
    budgets.save()
    assert Budgets.read(tmp_path / "new") == budgets
    (tmp_path / "new" / BUDGETS).write_text('{"targets": [4], "config": {"trials": "many"}}')
    with pytest.raises(InputError, match="trials"):
        Budgets.read(tmp_path / "new")
    for targets in ("[]", '["many"]', "4"):
        (tmp_path / "new" / BUDGETS).write_text(f'{{"targets": {targets}, "config": {{}}}}')
        with pytest.raises(InputError, match="expected 'targets' in MACs"):
            Budgets.read(tmp_path / "new")


def test_several_budgets_need_a_supernet(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="several targets need --supernet"):
        search_budgets(Budgets(tmp_path / "new", load_config(None, {}, []), (3e8, 4e8)))
    assert not (tmp_path / "new").exists()


def test_a_network_that_a_cheaper_one_surpasses_is_told() -> None:
    def member(name: str, macs: int, accuracy: float | None) -> FamilyMember:
        return FamilyMember(name, "search", macs, name, None, None, 32, macs, 10, accuracy)

    small, middle, large = member("s", 4, 0.7), member("m", 8, 0.9), member("l", 16, 0.8)
    assert dominated([small, middle, member("c", 8, None), large]) == [(large, middle)]
