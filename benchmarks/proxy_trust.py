"""Trust in different proxy settings: Kendall's tau with a longer schedule, and the cost of each setting.

    python -m benchmarks.proxy_trust --data cifar10.zip --out trust-table

Every setting trains the same networks, drawn from one band of MACs, with two seeds each. The longer schedule also
trains them with two seeds, once for all settings. Trainings are kept in the folder, so that the benchmark can be
interrupted and extended. Settings differ from the first one only in what their names state.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from nas.core.callback import SILENT
from nas.core.changes import nested
from nas.core.journal import read_rows
from nas.search.assemble import prepare
from nas.search.config import RunConfig, load_config, with_absolute_paths
from nas.search.session import read_images, search_pool
from nas.studies.proxy_ranking import JOURNAL, Plan, draw_networks, judge, measure_trust

SPACE = """
name: benchmark
resolution: 32
classes: 10
stem: {op: conv, kernel: 3, stride: 2, channels: 16}
stages:
  - {op: mbconv, expand: 1, kernel: [3, 5], stride: 1, channels: 16, layers: [1, 2], se: [0, 0.25]}
  - {op: mbconv, expand: [2, 4, 6], kernel: [3, 5], stride: 1, channels: [16, 24], layers: [1, 2, 3], se: [0, 0.25]}
  - {op: mbconv, expand: [2, 4, 6], kernel: [3, 5], stride: 2, channels: [32, 40], layers: [1, 2, 3], se: [0, 0.25]}
  - {op: mbconv, expand: [2, 4, 6], kernel: [3, 5], stride: 2, channels: [64, 96], layers: [1, 2, 3], se: [0, 0.25]}
head: {channels: 256}
"""

# Epochs, and changes of the configuration.
SETTINGS: dict[str, tuple[int, dict[str, Any]]] = {
    "1 epoch": (1, {}),
    "2 epochs": (2, {}),
    "4 epochs": (4, {}),
    "4 epochs of a quarter of the images": (4, {"data.fraction": 0.25}),
    "4 epochs at 16 px": (4, {"data.resolution": 16}),
    "4 epochs, moving average 0.99": (4, {"evaluator.ema": 0.99}),
    "4 epochs, SGD 0.1": (4, {"evaluator.optimizer": "sgd", "evaluator.learning_rate": 0.1}),
    "4 epochs, no stochastic depth, no dropout": (4, {"evaluator.drop_connect": 0.0, "evaluator.dropout": 0.0}),
}


def configure(arguments: argparse.Namespace, space: Path, changes: Mapping[str, Any]) -> RunConfig:
    share = arguments.images / 50_000
    fixed = {
        "space": str(space),
        "data.source": arguments.data,
        "data.validation": 5000,
        "data.fraction": share * float(changes.get("data.fraction", 1.0)),
        "objective.target_flops": arguments.target,
        "objective.tolerance": 0.5,
        "workers.count": arguments.workers,
        "evaluator.epochs": 1,
        "evaluator.batch_size": 64,
    }
    others = {key: value for key, value in changes.items() if key != "data.fraction"}
    return with_absolute_paths(load_config("proxy", nested({**fixed, **others}), []))


def measure(
    arguments: argparse.Namespace, space: Path, folder: Path, changes: Mapping[str, Any], epochs: int, seeds: int
) -> None:
    """Train the networks with one setting and ``seeds`` seeds, except for trainings that are already done."""
    setup = prepare(configure(arguments, space, changes))
    plan = Plan(draw_networks(setup, arguments.networks), epochs, epochs, seeds, 0)
    folder.mkdir(parents=True, exist_ok=True)
    images = read_images(setup, SILENT)
    with search_pool(setup, images, SILENT) as pool:
        try:
            measure_trust(setup, replace(plan, longer_seeds=0), folder, pool)
        except Exception as error:  # expected, because only one schedule is trained here
            if "trained by both schedules" not in str(error):
                raise


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="cifar10")
    parser.add_argument("--out", type=Path, default=Path("trust-table"))
    parser.add_argument("--networks", type=int, default=16)
    parser.add_argument("--images", type=int, default=5000, help="number of images; nine in ten train")
    parser.add_argument("--longer", type=int, default=15, help="epochs of the longer schedule")
    parser.add_argument("--target", default="4M")
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    space = arguments.out / "space.yaml"
    space.write_text(SPACE)
    measure(arguments, space, arguments.out / "longer", {}, arguments.longer, 2)
    longer = [dict(row, kind="longer") for row in read_rows(arguments.out / "longer" / JOURNAL)]
    found = {}
    columns = f"{'accuracy':>8} {'tau':>5} {'95% interval':>14} {'of 2':>5} {'seeds':>5} {'noise':>6} {'cost':>6}"
    print(f"{'setting':<42} {columns}")
    for name, (epochs, changes) in SETTINGS.items():
        folder = arguments.out / name.replace(" ", "-")
        measure(arguments, space, folder, changes, epochs, 2)
        trust = judge([*read_rows(folder / JOURNAL), *longer])
        found[name] = trust.as_json()
        print(
            f"{name:<42} {trust.accuracy:>8.1%} {trust.tau:>5.2f} {trust.tau_low:>6.2f} to {trust.tau_high:>4.2f} "
            f"{trust.tau_of_means:>5.2f} {trust.tau_between_seeds or 0:>5.2f} {100 * (trust.std or 0):>6.2f} "
            f"{trust.seconds / trust.longer_seconds:>6.1%}",
            flush=True,
        )
    print(
        f"longer: {arguments.longer} epochs, mean accuracy {trust.longer_accuracy:.1%}, tau between its seeds "
        f"{trust.tau_longer_seeds:.2f}, noise {100 * (trust.longer_std or 0):.2f} points"
    )
    (arguments.out / "table.json").write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
