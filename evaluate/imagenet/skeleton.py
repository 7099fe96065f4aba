"""EfficientNet-B0's skeleton: which networks the surrogate speaks of, and how a genotype becomes numbers."""

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
PARTS = 4096  # of networks, of which the genes are remembered
TRIED = 64  # genotypes of a space that is not on the skeleton by its very form


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

    Options are ordinal, so that neighbouring ones share features.
    """
    token, step = _steps()
    return (np.asarray(genes)[:, token] > step).astype(np.float32)


def stage_options(genes: Genes) -> Genes:
    """Return for genotypes ``(n, 28)`` each stage's combination of options as one number, ``(n, 7)``."""
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
        InputError: if it is none, naming the first part that differs.
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


@lru_cache(PARTS)
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
    """Say where a network leaves the skeleton; an empty text if it does not."""
    for name in ("resolution", "classes"):
        if getattr(network, name) != getattr(twin, name):
            return f"{name}: expected {getattr(twin, name)}, got {getattr(network, name)}"
    names = ("stem", *(f"stage{index + 1}" for index in range(STAGES)), "head")
    differences = map(_part_difference, names, network.parts, twin.parts)
    return next((difference for difference in differences if difference), "")


@lru_cache(PARTS)
def _part_difference(name: str, part: Stem | Stage | Head, own: Stem | Stage | Head) -> str:
    """Compare a part with the skeleton's but for the activation.

    The measured networks have ReLU and the skeleton swish; networks that share another are taken to rank alike.
    """
    alike = replace(part, activation=own.activation)
    if isinstance(alike, Stage) and isinstance(own, Stage):  # how often and how wide stands above already
        alike = replace(alike, expand=own.expand, se_activation=own.se_activation, se_gate=own.se_gate)
    for field in ("op", "kernel", "stride", "channels", "pool", "hidden", "skip", "se_base"):
        if getattr(alike, field, None) != getattr(own, field, None):
            return f"{name}.{field}: expected {getattr(own, field)}, got {getattr(alike, field)}"
    return ""


def skeleton_genes(space: SearchSpace, genes: Genes) -> Genes:
    """Return genotypes of ``space`` ``(n, tokens)`` as genotypes of the skeleton ``(n, 28)``.

    Raises:
        InputError: if one of them is not on it.
    """
    if isinstance(space, StageTableSpace) and (table := _option_table(space)) is not None:
        return np.stack([column[genes[:, token]] for token, column in table], axis=1)
    decode = getattr(space, "decode", None)
    if decode is None:
        raise InputError(f"space '{space.name}' has no stage tables")
    rows = (Architecture(space.name, tuple(row)) for row in np.asarray(genes).tolist())
    return np.array([genes_of(decode(architecture)) for architecture in rows], dtype=np.int64).reshape(-1, 28)


def _option_table(space: StageTableSpace) -> list[tuple[int, Genes]] | None:
    """Return for each gene of the skeleton which gene of ``space`` decides it, and its option for each of that one's.

    ``None`` if the space decides anything else, such as widths: its genotypes are then looked at one by one.
    """
    mine = {decision.path: token for token, decision in enumerate(space.decisions)}
    if not set(mine) <= {decision.path for decision in skeleton().decisions}:
        return None
    if any(isinstance(row, dict) and "extra_layers" in row for row in space.form["stages"]):
        return None  # an option of the layers is not how many there are
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
    """Say why the surrogate does not cover a space; an empty text if it does.

    Stage tables are judged by their choices; other spaces by their first genotype and by random ones.
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
