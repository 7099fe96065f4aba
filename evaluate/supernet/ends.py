"""The largest and the smallest network inside a budget, between which a supernet is trained."""

from __future__ import annotations

import numpy as np

from nas.core.errors import InputError
from nas.core.records import Architecture
from nas.search_spaces.domain import Domain, Genes

_DRAWN = 4096


def largest_and_smallest(domain: Domain, generator: np.random.Generator) -> tuple[Architecture, Architecture]:
    """Return the networks of a domain with the most and the fewest MACs that were found.

    From the best of 4,096 random networks, one gene at a time is changed as long as that leads further.

    Args:
        domain: the networks; their MACs have to be known.
        generator: draws the networks.

    Raises:
        InputError: if no network was found, or the MACs are not known.
    """
    drawn = domain.sample_genes(generator, min(_DRAWN, domain.affordable))
    if drawn is None or "macs" not in domain.costs(drawn[:1]):
        raise InputError(f"supernet: found no network of '{domain.space.name}' whose MACs are known; widen the limits")
    return _climbed(domain, drawn, 1), _climbed(domain, drawn, -1)


def _climbed(domain: Domain, drawn: Genes, sign: int) -> Architecture:
    macs = sign * domain.costs(drawn)["macs"]
    here, best = drawn[np.argmax(macs)], macs.max()
    while True:
        near = _neighbours(domain, here)
        near = near[domain.inside(near)]
        if not len(near):
            break
        macs = sign * domain.costs(near)["macs"]
        if macs.max() <= best:
            break
        here, best = near[np.argmax(macs)], macs.max()
    return Architecture(domain.space.name, tuple(here.tolist()))


def _neighbours(domain: Domain, genes: Genes) -> Genes:
    """Return all genotypes that differ in one gene, ``(n, genes)``."""
    rows = []
    for gene, options in enumerate(domain.space.gene_sizes):
        for option in range(options):
            if option != genes[gene]:
                row = genes.copy()
                row[gene] = option
                rows.append(row)
    return np.array(rows, dtype=np.int64).reshape(-1, len(genes))
