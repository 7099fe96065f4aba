"""Variation of genotypes in evolution: mutation, crossover, and a repair that keeps children within the budget."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nas.core.records import Architecture
from nas.search_spaces.domain import Domain


def mutable_genes(sizes: Sequence[int]) -> list[int]:
    """Return the indices of the genes that have more than one option."""
    return [index for index, options in enumerate(sizes) if options > 1]


def mutate(generator: np.random.Generator, genes: list[int], sizes: Sequence[int], mutable: Sequence[int]) -> None:
    """Change one random gene, in place, to another of its options, all equally likely."""
    index = mutable[int(generator.integers(len(mutable)))]
    others = int(generator.integers(sizes[index] - 1))
    genes[index] = int((genes[index] + 1 + others) % sizes[index])


def crossover(generator: np.random.Generator, first: Sequence[int], second: Sequence[int]) -> list[int]:
    """Take each gene from one of two parents (uniform crossover)."""
    taken = generator.random(len(first)) < 0.5
    return [one if take else other for one, other, take in zip(first, second, taken, strict=True)]


def mutated_inside(
    domain: Domain, generator: np.random.Generator, genes: list[int], parent: Architecture, repairs: int
) -> Architecture | None:
    """Return a mutated child that is inside the domain and differs from its parent; ``None`` if none was found.

    One gene is changed. A single change often leaves the budget, so up to ``repairs`` further changes follow until the
    child is inside.
    """
    sizes = domain.space.gene_sizes
    mutable = mutable_genes(sizes)
    for _ in range(1 + repairs if mutable else 0):
        mutate(generator, genes, sizes, mutable)
        child = Architecture(parent.space, tuple(genes))
        if child != parent and domain.admits(child):
            return child
    return None
