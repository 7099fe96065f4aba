"""The operators that networks are made of."""

from __future__ import annotations

import numpy as np
import pytest

from nas.core.errors import InputError
from nas.evaluate.cost.latency.operators import input_shape, operator_name, operators_in, operators_of
from nas.evaluate.cost.latency.stage_sums import StageSums
from nas.evaluate.cost.latency.table import sum_ms
from nas.search_spaces import space as spaces
from nas.search_spaces.catalogue import load_space, reference_network
from nas.search_spaces.stage_table import StageTableSpace
from tests.toys import TINY_FORM


def test_a_network_s_operators_in_order() -> None:
    b0 = reference_network("efficientnet_b0")
    operators = operators_of(b0)
    assert len(operators) == 1 + 16 + 1
    assert [input_shape(operator)[1:] for operator in operators[:3]] == [(3, 224, 224), (32, 112, 112), (16, 112, 112)]
    assert input_shape(operators[-1], batch=4) == (4, 320, 7, 7)


@pytest.mark.parametrize("form", ["tiny", "small-images", "widths"])
def test_a_space_s_operators_are_exactly_those_of_its_networks(form: str) -> None:
    if form == "widths":
        stages = [{**TINY_FORM["stages"][0], "layers": [0, 2]}, TINY_FORM["stages"][1]]
        space: object = StageTableSpace({**TINY_FORM, "resolution": [16, 24], "width": [0.5, 1.0], "stages": stages})
    else:
        space = StageTableSpace(TINY_FORM) if form == "tiny" else load_space(form)
    assert isinstance(space, StageTableSpace)
    walked = set(operators_in(space))
    if form == "small-images":
        generator = np.random.default_rng(0)
        members = [spaces.sample(space, generator) for _ in range(300)]
    else:
        members = list(spaces.enumerate_space(space))
    seen = {operator for member in members for operator in operators_of(space.decode(member))}
    assert seen <= walked
    assert form == "small-images" or seen == walked
    names = [operator_name(operator) for operator in walked]
    assert len(set(names)) == len(names)


def test_the_efficientnet_space_has_few_enough_to_measure() -> None:
    assert len(operators_in(load_space("efficientnet"))) == 170


def test_a_space_in_python_is_drawn_until_nothing_new_comes(tiny_space: StageTableSpace) -> None:
    class Drawn:
        name, gene_sizes = "drawn", tiny_space.gene_sizes
        decode = staticmethod(tiny_space.decode)

    assert set(operators_in(Drawn())) == set(operators_in(tiny_space))


def test_spaces_without_stage_tables_are_refused() -> None:
    class Table:
        name, gene_sizes = "table", (2,)

    with pytest.raises(InputError, match="'table' has no stage tables"):
        operators_in(Table())


@pytest.mark.parametrize("form", ["tiny", "widths"])
def test_sums_of_many_are_the_sums_of_each(form: str) -> None:
    stages = [{**TINY_FORM["stages"][0], "layers": [0, 2]}, TINY_FORM["stages"][1]]
    wide = {**TINY_FORM, "resolution": [16, 24], "width": [0.5, 1.0], "stages": stages}
    space = StageTableSpace(TINY_FORM if form == "tiny" else wide)
    names = [operator_name(operator) for operator in operators_in(space)]
    operators_ms = {name: 1.0 + 0.01 * index for index, name in enumerate(names)}
    members = list(spaces.enumerate_space(space))
    sums = StageSums(space, operators_ms)(np.array([member.genes for member in members]))
    for member, total in zip(members, sums, strict=True):
        assert total == pytest.approx(sum_ms(operators_ms, space.decode(member), space.name))
    operators_ms.pop(names[3])
    partly = StageSums(space, operators_ms)(np.array([member.genes for member in members]))
    assert 0 < np.isnan(partly).sum() < len(members)
    np.testing.assert_allclose(partly[~np.isnan(partly)], sums[~np.isnan(partly)])
