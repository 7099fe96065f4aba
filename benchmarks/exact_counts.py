"""Compare our MACs and params with torch's counts of the built module, for random networks of every shipped space.

    python -m benchmarks.exact_counts --networks 2000

Our counts come from each space's compiled table, torch's from the module on the meta device (``FlopCounterMode``
halved, and ``module.parameters()``). Prints the number of networks that were compared and the number that differ; exits
with 1 if any network differs.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor

import numpy as np

from nas.core.records import Architecture
from nas.evaluate.cost.module import module_cost
from nas.evaluate.cost.table import CostTable
from nas.search_spaces.catalogue import load_space, space_names
from nas.search_spaces.module import build
from nas.search_spaces.stage_table import StageTableSpace


def differences(name: str, seed: int, networks: int) -> list[str]:
    """Compare ``networks`` random networks of a space; return a line for each that differs."""
    space = load_space(name)
    assert isinstance(space, StageTableSpace)
    table, generator = CostTable(space), np.random.default_rng(seed)
    found = []
    for row in generator.integers(0, space.gene_sizes, size=(networks, len(space.gene_sizes))).tolist():
        network = space.decode(Architecture(name, tuple(row)))
        ours = table.cost(row)
        theirs = module_cost(lambda: build(network), network.resolution)  # noqa: B023
        if (ours.macs, ours.params) != (theirs.macs, theirs.params):
            found.append(f"{name} {row}: ours {ours.macs:,} {ours.params:,}, module {theirs.macs:,} {theirs.params:,}")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--networks", type=int, default=2000, help="random networks of each space")
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    pieces = 20
    failed = 0
    with ProcessPoolExecutor(arguments.processes) as pool:
        for name in space_names():
            shares = [len(part) for part in np.array_split(np.arange(arguments.networks), pieces)]
            results = pool.map(differences, [name] * pieces, range(pieces), shares)
            lines = [line for result in results for line in result]
            failed += len(lines)
            print(f"{name:<14} {arguments.networks:>6} networks, {len(lines)} differ", *lines, sep="\n  ", flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    raise SystemExit(main())
