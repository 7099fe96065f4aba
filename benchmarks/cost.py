"""Time of counting a network's cost: ours compared with thop, torch's FlopCounterMode, fvcore and ptflops, in one run.

    pip install -e '.[benchmarks]'
    python -m benchmarks.cost

The networks are random networks of one space, at its deployment resolution. The other counters receive modules that
are already built, and the time of building is printed separately; thop and ptflops run a real image, fvcore traces an
image, torch's counter runs on the meta device, where it is fastest. Our counter starts from the genotype: one by one
and vectorised with the space's compiled table, and by decoding and walking the stage table. Times are CPU time of one
thread (``process_time`` with one torch thread), for the other counters the median over networks. The table is compiled
once for a space; this time is printed too.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import io
import logging
import statistics
import time
import warnings
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from nas.core.records import Architecture
from nas.evaluate.cost.exact import network_cost
from nas.evaluate.cost.table import CostTable
from nas.search_spaces.catalogue import load_space
from nas.search_spaces.module import build
from nas.search_spaces.network import Network
from nas.search_spaces.operations import INPUT_CHANNELS
from nas.search_spaces.stage_table import StageTableSpace

Counter = Callable[[nn.Module, int], float]


def by_thop(module: nn.Module, resolution: int) -> float:
    import thop

    image = torch.zeros(1, INPUT_CHANNELS, resolution, resolution)
    return float(thop.profile(module, inputs=(image,), verbose=False)[0])


def by_torch(module: nn.Module, resolution: int) -> float:
    image = torch.empty(1, INPUT_CHANNELS, resolution, resolution, device="meta")
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(image)
    return float(counter.get_total_flops() / 2)


def by_fvcore(module: nn.Module, resolution: int) -> float:
    from fvcore.nn import FlopCountAnalysis

    analysis = FlopCountAnalysis(module, torch.zeros(1, INPUT_CHANNELS, resolution, resolution))
    return float(analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).total())


def by_ptflops(module: nn.Module, resolution: int) -> float:
    from ptflops import get_model_complexity_info

    shape = (INPUT_CHANNELS, resolution, resolution)
    macs, _ = get_model_complexity_info(module, shape, as_strings=False, print_per_layer_stat=False, verbose=False)
    return float(macs)


COUNTERS: dict[str, Counter] = {
    "thop": by_thop,
    "torch FlopCounterMode": by_torch,
    "fvcore": by_fvcore,
    "ptflops": by_ptflops,
}


def seconds(action: Callable[[], object]) -> float:
    """Return the CPU seconds of one call."""
    start = time.process_time()
    action()
    return time.process_time() - start


def time_counter(name: str, networks: Sequence[Network]) -> tuple[float, float]:
    """Return the median CPU seconds of counting, and the largest relative difference from our MACs."""
    taken, off = [], [0.0]
    for network in networks:
        with torch.device("meta") if name.startswith("torch") else contextlib.nullcontext():
            module = build(network).eval()
        counted: list[float] = []
        with contextlib.redirect_stdout(io.StringIO()):
            taken.append(seconds(lambda: counted.append(COUNTERS[name](module, network.resolution))))  # noqa: B023
        off.append(counted[0] / network_cost(network).macs - 1)
    return statistics.median(taken), max(off, key=abs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--space", default="efficientnet")
    parser.add_argument("--networks", type=int, default=30, help="networks for each of the other counters")
    parser.add_argument("--architectures", type=int, default=200_000, help="architectures for our vectorised counter")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    space = load_space(arguments.space)
    assert isinstance(space, StageTableSpace)
    generator = np.random.default_rng(0)
    genes = generator.integers(0, space.gene_sizes, size=(arguments.architectures, len(space.gene_sizes)))
    rows = [tuple(row) for row in genes[:10_000].tolist()]
    table = CostTable(space)
    compiling = seconds(lambda: CostTable(load_space(arguments.space)))  # type: ignore[arg-type]
    table.costs(genes[:1000])
    vectorised = min(seconds(lambda: table.costs(genes)) for _ in range(5)) / len(genes)
    one_by_one = min(seconds(lambda: [table.cost(row) for row in rows]) for _ in range(3)) / len(rows)
    networks = [space.decode(Architecture(space.name, row)) for row in rows[: arguments.networks]]
    fresh = copy.copy(rows[2000:4000])
    walking = seconds(lambda: [network_cost(space.decode(Architecture(space.name, row))) for row in fresh]) / len(fresh)
    building = statistics.median(seconds(lambda: build(network)) for network in networks)  # noqa: B023
    print(f"space {space.name}, {arguments.networks} networks for each counter; CPU time, one thread")
    print(f"compiling the table: {compiling * 1e3:.0f} ms, once; building a module: {building * 1e3:.0f} ms\n")
    print(f"{'counter':<34}{'us / architecture':>18}{'x ours one by one':>20}{'MACs difference up to':>24}")
    ours = {"ours, vectorised": vectorised, "ours, one by one (compiled table)": one_by_one}
    for name, taken in (ours | {"ours, decoding and walking": walking}).items():
        print(f"{name:<34}{taken * 1e6:>18.2f}{taken / one_by_one:>20.2f}")
    for name in COUNTERS:
        try:
            taken, off = time_counter(name, networks)
        except ImportError as error:
            print(f"{name:<34}{'not installed':>18} ({error.name})")
            continue
        print(f"{name:<34}{taken * 1e6:>18,.0f}{taken / one_by_one:>20,.0f}{off:>+24.1%}")
    print(f"\nvectorised: {1 / vectorised:,.0f} architectures a second on one core")


if __name__ == "__main__":
    main()
