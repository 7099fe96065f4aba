"""The protocol of a search space, and functions that work on every space.

A space needs a ``name``, its ``gene_sizes``, and at most one of ``decode(architecture) -> Network`` or
``build(architecture) -> torch.nn.Module``; a table of measured values needs neither. It may also offer
``costs(genes) -> dict of arrays`` and ``gene_names``. Nothing has to be subclassed.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Sequence
from itertools import product
from typing import Protocol, runtime_checkable

import numpy as np

from nas.core.errors import InputError
from nas.core.records import Architecture
from nas.search_spaces.network import Network


@runtime_checkable
class SearchSpace(Protocol):
    """The minimal interface of a space."""

    @property
    def name(self) -> str:
        """Name of the space in runs and messages."""

    @property
    def gene_sizes(self) -> Sequence[int]:
        """Number of options of each gene."""


def size(space: SearchSpace) -> int:
    """Return the number of genotypes."""
    return math.prod(int(count) for count in space.gene_sizes)


def sample(space: SearchSpace, generator: np.random.Generator) -> Architecture:
    """Draw a genotype uniformly."""
    genes = generator.integers(0, np.asarray(space.gene_sizes))
    return Architecture(space.name, tuple(int(gene) for gene in genes))


def check(space: SearchSpace, architecture: Architecture) -> None:
    """Check that a genotype belongs to the space.

    Raises:
        InputError: if it is of another space, of the wrong length, or an option does not exist.
    """
    if architecture.space != space.name:
        raise InputError(f"expected an architecture of space '{space.name}', got one of '{architecture.space}'")
    if len(architecture.genes) != len(space.gene_sizes):
        raise InputError(f"expected {len(space.gene_sizes)} genes, got {len(architecture.genes)}")
    for index, (gene, options) in enumerate(zip(architecture.genes, space.gene_sizes, strict=True)):
        if not 0 <= gene < options:
            raise InputError(f"gene {index}: expected an option index from 0 to {options - 1}, got {gene}")


def enumerate_space(space: SearchSpace) -> Iterator[Architecture]:
    """Yield every genotype in lexicographic order."""
    for genes in product(*(range(int(count)) for count in space.gene_sizes)):
        yield Architecture(space.name, genes)


def decode(space: SearchSpace, architecture: Architecture) -> Network | None:
    """Return the stage table of a genotype, or ``None`` for a space without stage tables."""
    method = getattr(space, "decode", None)
    return method(architecture) if method else None


def network_key(space: SearchSpace, architecture: Architecture) -> Hashable:
    """Return a key that is equal for genotypes that decode to the same network."""
    network = decode(space, architecture)
    return architecture.genes if network is None else network.signature()


def choices(space: SearchSpace, architecture: Architecture) -> dict[str, object]:
    """Return the chosen values by the decision's name (``gene0``, ... if the space gives no names)."""
    method = getattr(space, "choices", None)
    if method:
        return dict(method(architecture))
    names = getattr(space, "gene_names", None) or [f"gene{index}" for index in range(len(architecture.genes))]
    return dict(zip(names, architecture.genes, strict=True))
