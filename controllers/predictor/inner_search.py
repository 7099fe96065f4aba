"""Inner search for the genotypes of the highest score, by evolution on whole arrays of genotypes.

A score costs only arithmetic here, so tens of thousands of genotypes are scored for every batch of proposals.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from nas.controllers.task import Numbers
from nas.search_spaces.domain import Domain, Genes

Score = Callable[[Genes], Numbers]
Key = Callable[[list[int]], Hashable]
LOOKED = 4  # genotypes whose networks are compared, for each network that is wanted
ROUNDS, LEAST_CHILDREN = 12, 100
_STARTS = 0.04  # share of the candidates that are drawn at random
_SURVIVORS = 0.2  # number of parents, as a share of a round's children
CROSSED, FURTHER = 0.3, 0.6  # share of children with two parents; chance of each mutation after the first


def best_candidates(
    domain: Domain,
    score: Score,
    generator: np.random.Generator,
    starts: Genes,
    candidates: int,
    key: Key | None = None,
) -> tuple[Genes, Numbers]:
    """Return genotypes inside the domain and their scores, best first: the population after the last round.

    Args:
        domain: the domain of the genotypes.
        score: function from genotypes ``(n, genes)`` to scores to maximise; ``-inf`` for genotypes that must not be
            returned.
        generator: random generator of all draws.
        starts: initial genotypes in addition to random ones, ``(m, genes)``.
        candidates: approximate number of genotypes that are scored.
        key: function from a genotype to the key of its network, if several genotypes may be one network. Only the first
            genotype of each network survives a round, and none whose key is ``None``.
    """
    if domain.listable is not None and (domain.sparse or domain.listable <= candidates):
        listing = _listed(domain, generator, starts, candidates)
        return _sorted(listing, score(listing))
    drawn = domain.sample_genes(generator, max(int(_STARTS * candidates), 10))
    population = starts if drawn is None else np.concatenate([starts, drawn])
    population = population[distinct(population)]
    if not len(population):
        return population, np.zeros(0)
    population, scores = _sorted(population, score(population))
    rounds = min(ROUNDS, max(candidates // LEAST_CHILDREN, 1))
    count = candidates // rounds
    survivors = max(int(_SURVIVORS * count), 10)
    for _ in range(rounds if len(population) else 0):
        children = _children(generator, population[:survivors], np.asarray(domain.space.gene_sizes), count)
        parents = min(survivors, len(population))
        together = np.concatenate([population[:parents], children])
        children = together[(first := distinct(together))[first >= parents]]
        children = children[domain.inside(children)]
        if len(children):
            together = np.concatenate([population[:parents], children])
            population, scores = _sorted(together, np.concatenate([scores[:parents], score(children)]))
            if key is not None:
                kept = _networks(population, key, survivors)
                population, scores = population[kept], scores[kept]
    return population, scores


def _listed(domain: Domain, generator: np.random.Generator, starts: Genes, candidates: int) -> Genes:
    """Return all genotypes of a domain that can be listed.

    If it has more than ``candidates``, return that many random ones and the neighbours of ``starts``.
    """
    listing = domain.listing()
    assert listing is not None
    if len(listing) <= candidates:
        return listing
    some = listing[np.sort(generator.choice(len(listing), candidates, replace=False))]
    near = _neighbours(starts, domain.space.gene_sizes)
    both = np.concatenate([near[domain.inside(near)], some])
    return both[distinct(both)]


def _neighbours(genes: Genes, sizes: Sequence[int]) -> Genes:
    """Return ``genes`` ``(n, genes)`` and every genotype that differs from one of them in one gene."""
    found = [genes]
    for gene, options in enumerate(sizes):
        for step in range(1, int(options)):
            changed = genes.copy()
            changed[:, gene] = (changed[:, gene] + step) % options
            found.append(changed)
    return np.concatenate(found)


def _networks(genes: Genes, key: Key, most: int) -> list[int]:
    """Return the indices of the first genotype of each allowed network, up to ``most``; all if there is none."""
    seen: dict[Hashable, int] = {}
    for place, row in enumerate(genes[: LOOKED * most].tolist()):
        if (network := key(row)) is not None:
            seen.setdefault(network, place)
        if len(seen) == most:
            break
    return list(seen.values()) or list(range(len(genes)))


def distinct(genes: Genes) -> NDArray[np.int64]:
    """Return the indices of the first of equal rows ``(n, genes)``, in increasing order.

    Rows are compared by 64-bit hashes. It is very unlikely that two of millions of rows have the same hash, and this
    would only lose a candidate.
    """
    multipliers = np.random.default_rng(0).integers(1, 2**62, size=genes.shape[1]) * 2 + 1
    _, first = np.unique((genes + 1) @ multipliers, return_index=True)
    return np.sort(first)


def _children(generator: np.random.Generator, parents: Genes, sizes: Genes, count: int) -> Genes:
    """Return mutated children ``(count, genes)`` of parents sorted best first; better parents have more."""
    chosen = (generator.random(count) ** 2 * len(parents)).astype(np.int64)
    children: Genes = parents[chosen].copy()
    crossed = generator.random(count) < CROSSED
    others = parents[generator.integers(len(parents), size=count)]
    taken = (generator.random(children.shape) < 0.5) & crossed[:, None]
    children[taken] = others[taken]
    mutating = np.ones(count, dtype=bool)
    mutable = np.flatnonzero(sizes > 1)
    for _ in range(4 if len(mutable) else 0):
        rows = np.flatnonzero(mutating)
        genes = mutable[generator.integers(len(mutable), size=len(rows))]
        steps = 1 + generator.integers(sizes[genes] - 1)
        children[rows, genes] = (children[rows, genes] + steps) % sizes[genes]
        mutating[rows] = generator.random(len(rows)) < FURTHER
    return children


def _sorted(genes: Genes, scores: Numbers) -> tuple[Genes, Numbers]:
    kept = np.isfinite(scores)
    genes, scores = genes[kept], scores[kept]
    order = np.argsort(-scores, kind="stable")
    return genes[order], scores[order]
