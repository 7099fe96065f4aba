from __future__ import annotations

import numpy as np
import pytest

from nas.core.errors import InputError
from nas.core.records import Architecture
from nas.evaluate.cost.exact import COST_METRICS, network_cost
from nas.evaluate.cost.known_costs import KnownCosts
from nas.evaluate.cost.make_domain import limited_domain
from nas.evaluate.cost.space_statistics import survey
from nas.evaluate.cost.table import IMPOSSIBLE, CostTable, can_be_tabulated
from nas.evaluate.objective.limits import Limit, Limits
from nas.search_spaces import space as spaces
from nas.search_spaces.catalogue import load_space, space_names
from nas.search_spaces.domain import Domain
from nas.search_spaces.stage_table import StageTableSpace
from tests.search_spaces.test_shipped_spaces import ODD_FORMS
from tests.toys import TINY_FORM


def all_genes(space: StageTableSpace) -> np.ndarray:
    return np.array([architecture.genes for architecture in spaces.enumerate_space(space)])


@pytest.mark.parametrize("name", space_names())
def test_tables_agree_with_counting_one_by_one(name: str) -> None:
    space = load_space(name)
    assert isinstance(space, StageTableSpace)
    genes = np.random.default_rng(2).integers(0, space.gene_sizes, size=(300, len(space.gene_sizes)))
    table = CostTable(space)
    costs = table.costs(genes)
    assert set(costs) == set(COST_METRICS)
    for place, row in enumerate(genes.tolist()):
        expected = network_cost(space.decode(Architecture(space.name, tuple(row))))
        assert expected.metrics() == {metric: column[place] for metric, column in costs.items()}
        assert table.cost(row) == expected


@pytest.mark.parametrize("form", ODD_FORMS, ids=range(len(ODD_FORMS)))
def test_whole_spaces_with_every_kind_of_choice(form: dict[str, object]) -> None:
    """Every genotype, and the ranges, against decoding: searched resolutions, widths, strides, absent stages."""
    space = StageTableSpace(form)
    table, genes = CostTable(space), all_genes(space)
    columns = table.costs(genes)
    possible = []
    for place, row in enumerate(genes.tolist()):
        try:
            cost = network_cost(space.decode(Architecture(space.name, tuple(row))))
        except InputError:
            assert all(column[place] == IMPOSSIBLE for column in columns.values())
            with pytest.raises(InputError, match="make no network"):
                table.cost(row)
            continue
        assert cost.metrics() == {metric: column[place] for metric, column in columns.items()}
        possible.append(cost)
    for metric, field in (("macs", "macs"), ("params", "params"), ("peak", "peak_activation_bytes")):
        values = [getattr(cost, field) for cost in possible]
        assert table.range(metric) == (min(values), max(values))


def test_impossible_combinations_are_left_out() -> None:
    stages = [{"channels": 8, "stride": [1, 2]}, {"channels": 8, "stride": [1, 2]}]
    space = StageTableSpace(TINY_FORM | {"resolution": 4, "stages": stages})
    macs = CostTable(space).costs(np.array([[0, 0], [0, 1], [1, 0], [1, 1]]))["macs"]
    assert (macs[:3] > 0).all() and macs[3] == IMPOSSIBLE
    assert not Domain(space).admits(Architecture("tiny", (1, 1)))


def test_more_genotypes_than_a_chunk() -> None:
    space = StageTableSpace(TINY_FORM)
    genes = np.tile(all_genes(space), (1000, 1))
    macs = CostTable(space).costs(genes)["macs"].reshape(1000, -1)
    assert (macs == macs[0]).all() and (macs[0] > 0).all()


def test_range_of_efficientnet() -> None:
    space = load_space("efficientnet")
    assert isinstance(space, StageTableSpace)
    low, high = CostTable(space).macs_range()
    assert (round(low / 1e6, 1), round(high / 1e6, 1)) == (51.6, 884.1)


def test_a_stage_with_too_many_combinations_is_counted_one_by_one() -> None:
    """No table is compiled; costs, limits and the survey work all the same, from samples."""
    many: dict[str, object] = {
        "kernel": [1, 3, 5, 7, 9],
        "expand": [1, 2, 3, 4, 5, 6],
        "channels": [8, 16, 24, 32, 40, 48, 56],
    }
    many |= {"se": [0, 0.1, 0.25, 0.3, 0.5], "layers": [1, 2, 3, 4], "activation": ["relu", "relu6", "swish"]}
    many |= {"skip": ["none", "identity", "pooling", "projection"], "op": ["mbconv", "dsconv", "conv", "basic"]}
    space = StageTableSpace(TINY_FORM | {"stages": [many]})
    assert not can_be_tabulated(space)
    costs = KnownCosts(space)
    assert costs.table is None
    found = limited_domain(space, costs, Limits((Limit("macs", 200_000, 150_000, "--target-flops"),)))
    drawn = found.sample(np.random.default_rng(0))
    assert drawn is not None and 150_000 <= network_cost(space.decode(drawn)).macs <= 200_000
    surveyed = survey(space, [drawn], [1e6])
    assert surveyed.counted is not None and surveyed.counted > 900 and surveyed.networks is None
