"""Which networks the ImageNet surrogate speaks of."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.core.errors import InputError
from nas.core.records import Architecture
from nas.evaluate.imagenet.skeleton import (
    b0_genes,
    covers,
    gene_sizes,
    genes_of,
    skeleton,
    skeleton_genes,
    stage_options,
    stage_sizes,
    thermometer,
)
from nas.search_spaces.catalogue import load_space, reference_network
from nas.search_spaces.parts import Activation
from nas.search_spaces.stage_table import StageTableSpace

GENES = st.tuples(*(st.integers(0, size - 1) for size in gene_sizes()))
B0 = reference_network("efficientnet_b0")


def test_b0_is_the_paper_s_genotype() -> None:
    choices = skeleton().choices(Architecture("efficientnet", b0_genes()))
    assert [choices[f"stage{stage}.expand"] for stage in range(1, 8)] == [1, 6, 6, 6, 6, 6, 6]
    assert [choices[f"stage{stage}.kernel"] for stage in range(1, 8)] == [3, 3, 5, 3, 5, 5, 3]
    assert [choices[f"stage{stage}.layers"] for stage in range(1, 8)] == [1, 2, 2, 3, 3, 4, 1]
    assert [choices[f"stage{stage}.se"] for stage in range(1, 8)] == [0.25] * 7


@given(GENES)
def test_every_genotype_is_read_back_from_its_network(genes: tuple[int, ...]) -> None:
    network = skeleton().decode(Architecture("efficientnet", genes))
    assert genes_of(network) == genes


@given(GENES)
def test_features_are_steps_and_tell_genotypes_apart(genes: tuple[int, ...]) -> None:
    row = thermometer(np.array([genes]))
    assert row.shape == (1, 43) and set(np.unique(row)) <= {0.0, 1.0}
    assert row.sum() == sum(genes)
    options = stage_options(np.array([genes]))[0]
    assert all(0 <= option < size for option, size in zip(options, stage_sizes(), strict=True))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"resolution": 240}, "resolution: expected 224, got 240"),
        ({"classes": 10}, "classes: expected 1000, got 10"),
        ({"stages": B0.stages[:6]}, "expected 7 stages .* got 6"),
        ({"stem": replace(B0.stem, channels=40)}, "stem.channels: expected 32, got 40"),
        ({"head": replace(B0.head, channels=1536)}, "head.channels: expected 1280, got 1536"),
        ({"stages": (replace(B0.stages[0], channels=24), *B0.stages[1:])}, "stage1.channels: expected 16, got 24"),
        ({"stages": (replace(B0.stages[0], kernel=7), *B0.stages[1:])}, "stage1.kernel: expected one of 3, 5, got 7"),
        ({"stages": (replace(B0.stages[0], expand=3), *B0.stages[1:])}, "stage1.expand: .*got 3"),
        ({"stages": (replace(B0.stages[0], skip="none"), *B0.stages[1:])}, "stage1.skip"),
        ({"stages": (replace(B0.stages[0], op="dsconv"), *B0.stages[1:])}, "stage1.op: expected mbconv, got dsconv"),
        ({"stages": (replace(B0.stages[0], se_base="gated"), *B0.stages[1:])}, "stage1.se_base"),
    ],
)
def test_other_networks_are_refused_by_the_part_that_differs(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        genes_of(replace(B0, **change))


@pytest.mark.parametrize("activation", ["relu", "relu6", "hard_swish"])
def test_every_activation_is_on_the_skeleton(activation: Activation) -> None:
    stages = tuple(replace(stage, activation=activation, se_gate="hard_sigmoid") for stage in B0.stages)
    stem, head = replace(B0.stem, activation=activation), replace(B0.head, activation=activation)
    assert genes_of(replace(B0, stages=stages, stem=stem, head=head)) == b0_genes()


def test_which_spaces_are_covered() -> None:
    assert covers(load_space("efficientnet")) == ""
    assert "stages" in covers(load_space("small-images"))
    assert covers(load_space("mnasnet-wide")) != ""

    class Table:
        name, gene_sizes = "table", (2,)

    assert "no stage tables" in covers(Table())


def sub_space(**changes: Any) -> StageTableSpace:
    form = skeleton().form
    stages = [{**stage, **changes} for stage in form["stages"]]
    return StageTableSpace({**form, "name": "sub", "stages": stages})


@pytest.mark.parametrize("changes", [{"se": 0.25}, {"expand": [6, 4]}, {"kernel": 5, "layers": [2, 3]}])
def test_genotypes_of_narrower_spaces_are_translated_at_once(changes: dict[str, Any]) -> None:
    space = sub_space(**changes)
    generator = np.random.default_rng(0)
    genes = generator.integers(0, space.gene_sizes, size=(50, len(space.gene_sizes)))
    found = skeleton_genes(space, genes)
    for row, translated in zip(genes.tolist(), found.tolist(), strict=True):
        assert tuple(translated) == genes_of(space.decode(Architecture("sub", tuple(row))))


def test_genotypes_of_wider_spaces_are_looked_at_one_by_one() -> None:
    space = sub_space(channels=[16, 24])
    with pytest.raises(InputError, match="channels"):
        skeleton_genes(space, np.ones((1, len(space.gene_sizes)), dtype=np.int64))
