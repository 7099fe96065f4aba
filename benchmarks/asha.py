"""Successive halving against full training of every trial: epochs spent, and the winners' confirmed accuracy.

    python -m benchmarks.asha --data cifar10.zip --trials 27 --epochs 9

Both searches draw the same networks (random search, one seed). The winners are then trained again with the same
settings and other seeds, in each search's confirmation rounds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.proxy_trust import SPACE


def search(folder: Path, fidelity: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Run one search and return its epochs and seconds, its winner and the winner's accuracies."""
    sets = {
        "data.fraction": arguments.images / 48_000,
        "data.validation": 2000,
        "objective.tolerance": 0.5,
        "evaluator.epochs": arguments.epochs,
        "confirm.rounds": 2,
        "confirm.epochs": arguments.epochs,
    }
    command = [sys.executable, "-m", "nas", "search", "--space", "space.yaml", "--data", arguments.data]
    command += ["--target-flops", "4M", "--controller", "random", "--seed", str(arguments.seed), "--out", fidelity]
    command += ["--trials", str(arguments.trials), "--workers", str(arguments.workers), "--fidelity", fidelity]
    command += ["--confirm", str(arguments.confirm)]
    command += [part for key, value in sets.items() for part in ("--set", f"{key}={value}")]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    trials = [json.loads(line) for line in (folder / fidelity / "trials.jsonl").read_text().splitlines()]
    result = json.loads((folder / fidelity / "result.json").read_text())
    winner = result["confirmed"]["candidates"][0]
    return {
        "epochs": sum(int(trial["metrics"].get("epochs", arguments.epochs)) for trial in trials),
        "seconds": sum(trial["seconds"] for trial in trials),
        "number": winner["number"],
        "accuracies": winner["accuracies"],
        "noise": result["confirmed"]["seed_std"],
        "statuses": result["trials"],
        "test": result["test_accuracy"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="cifar10")
    parser.add_argument("--trials", type=int, default=27)
    parser.add_argument("--epochs", type=int, default=9)
    parser.add_argument("--images", type=int, default=2400, help="number of training images, out of CIFAR-10's 48,000")
    parser.add_argument("--confirm", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if Path(arguments.data).exists():
        arguments.data = str(Path(arguments.data).resolve())
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "space.yaml").write_text(SPACE)
        for fidelity in ("asha", "full"):
            found[fidelity] = one = search(Path(folder), fidelity, arguments)
            mean = statistics.fmean(one["accuracies"])
            print(
                f"{fidelity:<5} {one['epochs']:>5} epochs, {one['seconds']:>6.0f} s of trials, {one['statuses']}; "
                f"winner: trial {one['number']}, {mean:.2%} as the mean of {len(one['accuracies'])} trainings "
                f"(noise {100 * (one['noise'] or 0):.2f} points), test {one['test']:.2%}",
                flush=True,
            )
    ratio = found["asha"]["epochs"] / found["full"]["epochs"]
    print(f"epochs {ratio:.2f}x, seconds {found['asha']['seconds'] / found['full']['seconds']:.2f}x")


if __name__ == "__main__":
    main()
