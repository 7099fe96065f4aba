from __future__ import annotations

import copy
from typing import Any

import pytest

from nas.core.errors import InputError
from nas.core.records import Architecture
from nas.search_spaces.catalogue import load_space, reference_network
from nas.search_spaces.space import check, enumerate_space, network_key, size
from nas.search_spaces.stage_table import StageTableSpace
from tests.toys import TINY_FORM

B0_GENES = tuple(
    gene
    for stage in zip((0, 2, 2, 2, 2, 2, 2), (0, 0, 1, 0, 1, 1, 0), (0, 1, 1, 2, 2, 3, 0), (1,) * 7, strict=True)
    for gene in stage
)


def test_efficientnet_has_the_published_choices_order_and_size() -> None:
    space = load_space("efficientnet")
    assert isinstance(space, StageTableSpace)
    assert size(space) == 104_485_552_128
    assert len(space.gene_sizes) == 28
    assert space.gene_sizes == (3, 2, 3, 2) * 5 + (3, 2, 4, 2) + (3, 2, 3, 2)
    assert space.gene_names[:4] == ("stage1.expand", "stage1.kernel", "stage1.layers", "stage1.se")
    options = {decision.path[-1]: decision.options for decision in space.decisions[20:24]}
    assert options == {"expand": (1, 4, 6), "kernel": (3, 5), "layers": (1, 2, 3, 4), "se": (0, 0.25)}


def test_efficientnet_holds_b0_exactly() -> None:
    space = load_space("efficientnet")
    assert isinstance(space, StageTableSpace)
    network = space.decode(Architecture("efficientnet", B0_GENES))
    b0 = reference_network("efficientnet_b0")
    assert (network.stem, network.stages, network.head) == (b0.stem, b0.stages, b0.head)
    assert network.signature() == b0.signature()


def test_choices_carry_names_and_values(tiny_space: StageTableSpace) -> None:
    names = ["stage1.expand", "stage1.kernel", "stage1.layers", "stage2.channels", "stage2.se"]
    assert list(tiny_space.gene_names) == names
    values = dict(zip(names, (2, 3, 2, 24, 0), strict=True))
    assert tiny_space.choices(Architecture("tiny", (1, 0, 1, 2, 0))) == values


def test_every_genotype_decodes_to_its_choices(tiny_space: StageTableSpace) -> None:
    for architecture in enumerate_space(tiny_space):
        network = tiny_space.decode(architecture)
        chosen = tiny_space.choices(architecture)
        assert network.stages[0].expand == chosen["stage1.expand"]
        assert network.stages[1].channels == chosen["stage2.channels"]
    assert len({network_key(tiny_space, item) for item in enumerate_space(tiny_space)}) == size(tiny_space) == 48


def test_genotypes_of_one_network_share_a_key() -> None:
    form = changed(("stages", 1), {"skip": ["identity", "none"], "layers": [1, 2], "channels": 16, "se": 0})
    space = StageTableSpace(form)
    keys = {network_key(space, architecture) for architecture in enumerate_space(space)}
    assert size(space) == 32 and len(keys) == 24  # with one widening layer, the skip makes no difference


def test_resolution_head_and_stem_may_be_searched() -> None:
    form = copy.deepcopy(TINY_FORM) | {"resolution": [16, 32], "head": {"channels": [16, 32]}}
    form["stem"]["channels"] = [8, 16]
    space = StageTableSpace(form)
    assert space.gene_names[0] == "resolution" and space.gene_names[-1] == "head.channels"
    seen = {(n.resolution, n.stem.channels, n.head.channels) for n in map(space.decode, enumerate_space(space))}
    assert seen == {(r, s, h) for r in (16, 32) for s in (8, 16) for h in (16, 32)}


def changed(path: tuple[Any, ...], values: dict[str, Any]) -> dict[str, Any]:
    form = copy.deepcopy(TINY_FORM)
    target: Any = form
    for key in path:
        target = target[key]
    target.update(values)
    return form


@pytest.mark.parametrize(
    ("form", "message"),
    [
        (changed(("stages", 0), {"kernel": [3, 4]}), r"stages\[0\].kernel: expected an odd number, got 4"),
        (changed(("stages", 0), {"kernel": []}), r"stages\[0\].kernel: expected at least one option"),
        (changed(("stages", 0), {"kernel": [3, 3]}), "option 3 occurs twice"),
        (changed(("stages", 0), {"kernel": [[3]]}), "expected plain values"),
        (changed(("stages", 0), {"kernls": [3]}), "did you mean 'kernel'"),
        (changed((), {"name": ["a", "b"]}), "name: expected one fixed value"),
        ({key: value for key, value in TINY_FORM.items() if key != "name"}, "missing key 'name'"),
    ],
)
def test_broken_spaces_are_refused_by_name(form: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        StageTableSpace(form)


def test_whole_blocks_may_be_the_options_of_a_stage() -> None:
    blocks = ["r1_k3_s2_e3_i8_o16", "r2_k5_s2_e6_i8_o24_se0.25"]
    form = TINY_FORM | {"stages": [TINY_FORM["stages"][0], blocks]}
    space = StageTableSpace(form)
    assert space.gene_names[-1] == "stage2"
    stages = [space.decode(Architecture("tiny", (0, 0, 0, gene))).stages[1] for gene in (0, 1)]
    assert [(stage.layers, stage.kernel, stage.channels, stage.se) for stage in stages] == [
        (1, 3, 16, 0),
        (2, 5, 24, 0.25),
    ]
    with pytest.raises(InputError, match=r"stages\[1\]: expected plain values as options"):
        StageTableSpace(TINY_FORM | {"stages": [TINY_FORM["stages"][0], [{"channels": 8}]]})


@pytest.mark.parametrize("key", ["stages", "stem", "head"])
def test_missing_parts_are_named(key: str) -> None:
    with pytest.raises(InputError, match=f"missing key '{key}'"):
        StageTableSpace({name: value for name, value in TINY_FORM.items() if name != key})


def test_a_space_without_choices_is_refused() -> None:
    form = changed(("stages", 0), {"expand": 1, "kernel": 3, "layers": 1})
    form["stages"][1] |= {"channels": 8, "se": 0}
    with pytest.raises(InputError, match="only fixed values"):
        StageTableSpace(form)


@pytest.mark.parametrize(
    ("genes", "message"),
    [((0, 0, 0, 0), "expected 5 genes"), ((0, 0, 0, 3, 0), "gene 3"), ((0, 0, 0, -1, 0), "gene 3")],
)
def test_foreign_genotypes_are_refused(tiny_space: StageTableSpace, genes: tuple[int, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        check(tiny_space, Architecture("tiny", genes))
    with pytest.raises(InputError, match="of space 'tiny'"):
        check(tiny_space, Architecture("other", (0,) * 5))
