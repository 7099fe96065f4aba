"""EfficientNet-B0's skeleton: the networks that the surrogate covers, and the features of their genotypes."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

from nas.core.errors import InputError
from nas.core.records import Architecture
from nas.search_spaces.catalogue import load_space, reference_network
from nas.search_spaces.network import Network
from nas.search_spaces.parts import Head, Stage, Stem
from nas.search_spaces.space import SearchSpace
from nas.search_spaces.stage_table import StageTableSpace

Genes = NDArray[np.int64]
Floats = NDArray[np.float32]
SPACE = "efficientnet"
STAGES = 7
KINDS = ("expand", "kernel", "layers", "se")  # a stage's genes, in their order
_PARTS = 4096  # number of parts of networks whose results are cached
TRIED = 64  # number of genotypes that are checked in a space whose decisions are not a subset of the skeleton's


@cache
def skeleton() -> StageTableSpace:
    """Return the space that the surrogate covers."""
    space = load_space(SPACE)
    assert isinstance(space, StageTableSpace)
    return space


@cache
def gene_sizes() -> tuple[int, ...]:
    """Return how many options each of the 28 genes has."""
    return skeleton().gene_sizes


@cache
def stage_sizes() -> tuple[int, ...]:
    """Return how many combinations of options each stage has."""
    return tuple(math.prod(gene_sizes()[len(KINDS) * stage :][: len(KINDS)]) for stage in range(STAGES))


def thermometer(genes: Genes) -> Floats:
    """Return genotypes ``(n, 28)`` as features ``(n, 43)``: one for every step up from a gene's first option.

    Options are treated as ordinal, so that neighbouring options share features.
    """
    token, step = _steps()
    return (np.asarray(genes)[:, token] > step).astype(np.float32)


def stage_options(genes: Genes) -> Genes:
    """Return each stage's combination of options as one number, ``(n, 7)``, for genotypes ``(n, 28)``."""
    options = np.zeros((len(genes), STAGES), dtype=np.int64)
    for stage in range(STAGES):
        for token in range(len(KINDS) * stage, len(KINDS) * (stage + 1)):
            options[:, stage] = options[:, stage] * gene_sizes()[token] + genes[:, token]
    return options


@cache
def _steps() -> tuple[Genes, Genes]:
    pairs = [(token, step) for token, size in enumerate(gene_sizes()) for step in range(size - 1)]
    return np.array([token for token, _ in pairs]), np.array([step for _, step in pairs])


@cache
def b0_genes() -> tuple[int, ...]:
    """Return EfficientNet-B0's genotype."""
    return genes_of(reference_network("efficientnet_b0"))


def genes_of(network: Network) -> tuple[int, ...]:
    """Return the genotype of a network on the skeleton.

    Raises:
        InputError: if the network is not on the skeleton. The message names the first part that differs.
    """
    if len(network.stages) != STAGES:
        raise InputError(f"expected {STAGES} stages as in EfficientNet-B0, got {len(network.stages)}")
    genes: list[int] = []
    for index, stage in enumerate(network.stages):
        genes += _stage_genes(index, stage)
    twin = skeleton().decode(Architecture(SPACE, tuple(genes)))
    if difference := _difference(network, twin):
        raise InputError(difference)
    return tuple(genes)


@lru_cache(_PARTS)
def _stage_genes(index: int, stage: Stage) -> list[int]:
    genes = []
    for offset, kind in enumerate(KINDS):
        value = stage.expand_ratio if kind == "expand" else getattr(stage, kind)
        options = skeleton().decisions[len(KINDS) * index + offset].options
        if value not in options:
            known = ", ".join(f"{option:g}" for option in options if isinstance(option, int | float))
            raise InputError(f"stage{index + 1}.{kind}: expected one of {known}, got {value:g}")
        genes.append(options.index(value))
    return genes


def _difference(network: Network, twin: Network) -> str:
    """Return the first difference of a network from the skeleton as text; empty if there is none."""
    for name in ("resolution", "classes"):
        if getattr(network, name) != getattr(twin, name):
            return f"{name}: expected {getattr(twin, name)}, got {getattr(network, name)}"
    names = ("stem", *(f"stage{index + 1}" for index in range(STAGES)), "head")
    differences = map(_part_difference, names, network.parts, twin.parts)
    return next((difference for difference in differences if difference), "")


@lru_cache(_PARTS)
def _part_difference(name: str, part: Stem | Stage | Head, own: Stem | Stage | Head) -> str:
    """Return the first difference of a part from the skeleton's, except the activation; an empty text if there is none.

    The measured networks have ReLU and the skeleton has swish; networks that share another activation are assumed to
    have the same ranking.
    """
    alike = replace(part, activation=own.activation)
    if isinstance(alike, Stage) and isinstance(own, Stage):  # ``genes_of`` compares layers and expand
        alike = replace(alike, expand=own.expand, se_activation=own.se_activation, se_gate=own.se_gate)
    for field in ("op", "kernel", "stride", "channels", "pool", "hidden", "skip", "se_base"):
        if getattr(alike, field, None) != getattr(own, field, None):
            return f"{name}.{field}: expected {getattr(own, field)}, got {getattr(alike, field)}"
    return ""


def skeleton_genes(space: SearchSpace, genes: Genes) -> Genes:
    """Return genotypes of ``space`` ``(n, genes)`` as genotypes of the skeleton ``(n, 28)``.

    Raises:
        InputError: if one of the genotypes is not on the skeleton.
    """
    if isinstance(space, StageTableSpace) and (table := _option_table(space)) is not None:
        return np.stack([column[genes[:, token]] for token, column in table], axis=1)
    decode = getattr(space, "decode", None)
    if decode is None:
        raise InputError(f"space '{space.name}' has no stage tables")
    rows = (Architecture(space.name, tuple(row)) for row in np.asarray(genes).tolist())
    return np.array([genes_of(decode(architecture)) for architecture in rows], dtype=np.int64).reshape(-1, 28)


def _option_table(space: StageTableSpace) -> list[tuple[int, Genes]] | None:
    """Return for each gene of the skeleton the gene of ``space`` that decides it, and a map of its options.

    The map is an array from the options of that gene to the skeleton's options. The result is ``None`` if the space has
    a decision or an option that the skeleton lacks, such as widths; its genotypes are then converted one by one.
    """
    mine = {decision.path: token for token, decision in enumerate(space.decisions)}
    if not set(mine) <= {decision.path for decision in skeleton().decisions}:
        return None
    if any(isinstance(row, dict) and "extra_layers" in row for row in space.form["stages"]):
        return None  # here an option of the layers is not the number of layers
    fixed = genes_of(space.decode(Architecture(space.name, (0,) * len(space.gene_sizes))))
    table: list[tuple[int, Genes]] = []
    for token, decision in enumerate(skeleton().decisions):
        if decision.path not in mine:
            table.append((0, np.full(space.gene_sizes[0], fixed[token])))
            continue
        own = space.decisions[mine[decision.path]]
        if not set(own.options) <= set(decision.options):
            return None
        table.append((mine[decision.path], np.array([decision.options.index(option) for option in own.options])))
    return table


def covers(space: SearchSpace) -> str:
    """Return a text with the reason why the surrogate does not cover a space; empty if the space is covered.

    A stage-table space whose decisions and options are a subset of the skeleton's is checked by its first genotype;
    any other space by its first genotype and by random genotypes.
    """
    decode = getattr(space, "decode", None)
    if decode is None:
        return "its networks have no stage tables"
    tried = np.random.default_rng(0).integers(0, space.gene_sizes, size=(TRIED, len(space.gene_sizes)))
    tried[0] = 0
    try:
        if isinstance(space, StageTableSpace) and _option_table(space) is not None:
            return ""
        for row in tried.tolist():
            genes_of(decode(Architecture(space.name, tuple(row))))
    except InputError as error:
        return str(error)
    return ""
