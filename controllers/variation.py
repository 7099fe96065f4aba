"""How evolutionary controllers vary genotypes: mutation, crossover, and the repair that keeps children in the band."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nas.core.records import Architecture
from nas.search_spaces.domain import Domain


def mutable_genes(sizes: Sequence[int]) -> list[int]:
    """Return the places of the genes that have a choice."""
    return [index for index, options in enumerate(sizes) if options > 1]


def mutate(generator: np.random.Generator, genes: list[int], sizes: Sequence[int], mutable: Sequence[int]) -> None:
    """Change one gene, in place, to another of its options; each change is equally likely in its gene."""
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
    """Change one gene, and others after it until the child is admitted and not its parent; ``None`` if it never is.

    Inside a band a single change often leaves the budget: further ones, up to ``repairs``, may bring it back.
    """
    sizes = domain.space.gene_sizes
    mutable = mutable_genes(sizes)
    for _ in range(1 + repairs if mutable else 0):
        mutate(generator, genes, sizes, mutable)
        child = Architecture(parent.space, tuple(genes))
        if child != parent and domain.admits(child):
            return child
    return None
