"""Uniform architectures inside a MACs band: our sampler compared with rejection sampling, in one run.

    python -m benchmarks.sampling

Rejection sampling draws genotypes from the whole space, computes their costs with the same vectorised code and keeps
the genotypes inside the band. It stops after ``--patience`` seconds at the latest, and its time is then extrapolated
from the number of genotypes that it found. Our time includes the preparation of the sampler. All times are wall time.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from nas.evaluate.cost.table import CostTable
from nas.evaluate.cost.table_sampler import TableSampler
from nas.evaluate.objective.limits import Limit, Limits
from nas.search_spaces.catalogue import load_space
from nas.search_spaces.space import size
from nas.search_spaces.stage_table import StageTableSpace


def rejection(table: CostTable, limits: Limits, count: int, patience_s: float) -> tuple[float, int]:
    """Return the seconds ``count`` samples take by rejection (extrapolated), and how many were found in time."""
    generator, sizes = np.random.default_rng(0), table.space.gene_sizes
    ((low, high),) = [(limit.low, limit.high) for limit in limits]
    start, found = time.perf_counter(), 0
    while found < count and time.perf_counter() - start < patience_s:
        macs = table.costs(generator.integers(0, sizes, size=(100_000, len(sizes))))["macs"]
        found += int(((macs >= low) & (macs <= high)).sum())
    seconds = time.perf_counter() - start
    return (seconds * count / found if found else float("inf")), found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--space", default="efficientnet")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--patience", type=float, default=10.0)
    arguments = parser.parse_args()
    space = load_space(arguments.space)
    assert isinstance(space, StageTableSpace)
    table = CostTable(space)
    bands = [(95e6, 100e6), (99.6e6, 100e6), (99.95e6, 100e6), (76e6, 80e6), (400e6 - 25e3, 400e6)]
    print(f"{arguments.count:,} architectures of '{space.name}' inside [low, high] MACs, seconds")
    print(f"{'band':<24}{'share of space':>15}{'ours':>8}{'rejection':>12}{'times':>9}{'different':>11}")
    for low, high in bands:
        limits = Limits((Limit("macs", high, low),))
        start = time.perf_counter()
        sampler = TableSampler(table, limits)
        genes = sampler.sample(np.random.default_rng(1), arguments.count)
        ours = time.perf_counter() - start
        assert genes is not None
        macs = table.costs(genes)["macs"]
        assert ((macs >= low) & (macs <= high)).all()
        theirs, _ = rejection(table, limits, arguments.count, arguments.patience)
        share = sampler.estimated_size / size(space)
        print(
            f"{low / 1e6:>9.2f}M to {high / 1e6:.0f}M{share:>19.4%}{ours:>8.2f}{theirs:>12.1f}{theirs / ours:>9,.0f}"
            f"{len(np.unique(genes, axis=0)):>11,}"
        )


if __name__ == "__main__":
    main()
