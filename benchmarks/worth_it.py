"""Is a search worth it? ``nas make`` against stock networks and Optuna's TPE, in equal total seconds.

    python -m benchmarks.worth_it run --data cifar10.zip --folders 5x256 10x400 --targets 5M 20M --minutes 30 --seeds 3
    python -m benchmarks.worth_it table

Arms, each with all cores and the whole time for itself, one after another:

- ``make``: ``nas make``: search, confirmation and full training, the time divided by the program.
- ``stock:NAME``: the stock network scaled to the budget and trained for the whole time, by the recipe of ``nas make``.
- ``tpe``: Optuna's TPE over the variant, width and depth of MobileNetV3, whose trials are trained as long as those of
  ``nas make``; then its best network is trained in the time that is left, by the same recipe.

A folder ``CxN`` holds N training images of each of C classes of CIFAR-10 and 600 test images of each class; ``digits``
is scikit-learn's. No arm sees the test images before its network is trained. Every arm appends one line to
``worth-it.jsonl``; arms that are there already are not run again.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import zipfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nas.core.errors import InputError
from nas.core.statistics import measure_noise, paired_difference, wilson_interval
from nas.core.units import parse_count
from nas.evaluate.predictions import unpack

CLASSES = ("airplane", "automobile", "cat", "frog", "ship", "bird", "deer", "dog", "horse", "truck")
TEST_IMAGES = 600  # of each class
JOURNAL = "worth-it.jsonl"
_SEARCH_SHARE = 0.45  # of the time, for TPE's trials: as much as nas make takes for search and confirmation
_RESOLUTION = 32


def make_folder(zipped: Path, name: str, root: Path) -> str:
    """Write the folder ``CxN`` of CIFAR-10's images, unless it is there; return its path, or the name of a data set."""
    if "x" not in name:
        return name
    classes, count = (int(part) for part in name.split("x"))
    folder = root / f"cifar-{name}"
    if folder.is_dir():
        return str(folder)
    with zipfile.ZipFile(zipped) as archive:
        files = sorted(file for file in archive.namelist() if file.endswith(".jpg"))
        for part, most in (("train", count), ("test", TEST_IMAGES)):
            for label in CLASSES[:classes]:
                own = [file for file in files if f"/{part}/{label}/" in file]
                chosen = np.random.default_rng(0).permutation(len(own))[:most]
                target = folder / part / label
                target.mkdir(parents=True)
                for place in chosen:
                    (target / Path(own[place]).name).write_bytes(archive.read(own[place]))
    return str(folder)


def run_make(data: str, target: str, minutes: float, seed: int, out: Path) -> dict[str, Any]:
    """Run ``nas make``."""
    command = [sys.executable, "-m", "nas", "make", "--data", data, "--target-flops", target, "--minutes", str(minutes)]
    command += ["--seed", str(seed), "--resolution", str(_RESOLUTION), "--out", str(out), "--no-export", "--quiet"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    result = json.loads((out / "result.json").read_text())
    return {
        **trained_row(out / "trained"),
        "network": "search" if result["network"] == "search" else result["name"],
        "verdict": (result["control"] or {}).get("verdict"),
        "trials": result["trials"],
    }


def run_stock(name: str, data: str, target: str, minutes: float, seed: int, out: Path) -> dict[str, Any]:
    """Train a stock network for the whole time."""
    from nas.evaluate.objective.limits import Limits, macs_band
    from nas.scale.stock import stock_networks

    start = time.monotonic()
    limits = Limits((macs_band(parse_count(target, "target"), 0.1),))
    found, refused = stock_networks([name], _RESOLUTION, len(classes_of(data)), limits)
    if not found:
        return {"error": refused[name]}
    return train(found[0].network, found[0].words, data, seed, start + 60 * minutes, out)


def run_tpe(data: str, target: str, minutes: float, seed: int, out: Path) -> dict[str, Any]:
    """Search MobileNetV3's variant, width and depth with Optuna's TPE, then train the best network."""
    import optuna

    from nas.core.cores import available_cores
    from nas.core.records import Architecture, Evaluation
    from nas.evaluate.contract import Job
    from nas.evaluate.cost.exact import network_cost
    from nas.evaluate.data.load import load_data
    from nas.evaluate.data.settings import DataSettings
    from nas.evaluate.proxy.settings import ProxySettings
    from nas.evaluate.recipe import EvaluatorRecipe
    from nas.evaluate.workers.jobs import open_pool
    from nas.evaluate.workers.settings import WorkerSettings
    from nas.make.plan import make_plan
    from nas.scale.compound import Scaling, scale
    from nas.scale.stock import stock_resolution
    from nas.search_spaces.catalogue import reference_network

    start, most = time.monotonic(), parse_count(target, "target")
    images = load_data(DataSettings(source=data, resolution=_RESOLUTION))
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))

    def network_of(trial: optuna.Trial) -> Any:
        variant = trial.suggest_categorical("variant", ["mobilenet_v3_small", "mobilenet_v3_large"])
        width = trial.suggest_float("width", 0.2, 4.0, log=True)
        depth = trial.suggest_float("depth", 0.5, 2.0, log=True)
        scaling = Scaling(variant, width=width, depth=depth, resolution=stock_resolution(_RESOLUTION))
        return scale(reference_network(variant).at(classes=len(images.classes)), scaling)

    settings = ProxySettings(epochs=1, batch_size=64, reference_resolution=_RESOLUTION)
    evaluator = EvaluatorRecipe(settings).make(images)
    first = scale(reference_network("mobilenet_v3_small"), Scaling("first", resolution=stock_resolution(_RESOLUTION)))
    epoch_s = evaluator.estimate(Architecture("stock", ()), first)["seconds"]  # type: ignore[attr-defined]
    workers = available_cores()
    try:
        epochs = make_plan(60 * minutes, epoch_s, workers).epochs
    except InputError:  # too short for nas make with networks that are so slow
        epochs = 2
    settings = settings.model_copy(update={"epochs": epochs})
    best: tuple[float, Any, str] = (-1.0, None, "")
    done = 0
    with open_pool(EvaluatorRecipe(settings), lambda: images, WorkerSettings(count=workers), workers) as pool:
        running: dict[int, tuple[optuna.Trial, Any]] = {}
        number = 0
        while running or time.monotonic() - start < 60 * minutes * _SEARCH_SHARE:
            while len(running) < pool().capacity and time.monotonic() - start < 60 * minutes * _SEARCH_SHARE:
                trial = study.ask()
                network = network_of(trial)
                macs = network_cost(network).macs
                if macs > most:  # never trained; the sampler learns how far it is outside
                    study.tell(trial, -macs / most)
                    continue
                pool().submit(Job(number, Architecture("stock", ()), network, number))
                running[number], number = (trial, network), number + 1
            for job, evaluation in pool().gather(1.0):
                assert isinstance(evaluation, Evaluation)
                trial, network = running.pop(job.number)
                accuracy = evaluation.metrics.get("accuracy", 0.0)
                study.tell(trial, accuracy)
                done += 1
                words = ", ".join(
                    f"{key} {value:.3g}" if key != "variant" else value for key, value in trial.params.items()
                )
                best = max(best, (accuracy, network, words), key=lambda one: one[0])
    return train(best[1], best[2], data, seed, start + 60 * minutes, out) | {"trials": done}


def train(network: Any, words: str, data: str, seed: int, until: float, out: Path) -> dict[str, Any]:
    """Train a network until a point in time, by the recipe of ``nas make``."""
    from dataclasses import replace

    from nas.core.callback import SILENT
    from nas.core.files import write_whole
    from nas.evaluate.data.settings import DataSettings
    from nas.make.fitted_training import fitted_config
    from nas.search_spaces.yaml_format import network_to_yaml
    from nas.training.session import prepare_training, run_training

    out.parent.mkdir(parents=True, exist_ok=True)
    network = replace(network, name="network")
    write_whole(out.with_suffix(".yaml"), network_to_yaml(network))
    settings = DataSettings(source=data, resolution=_RESOLUTION)
    config = fitted_config(network, str(out.with_suffix(".yaml")), settings, seed, until - time.monotonic())
    prepared = prepare_training(network, config, out, SILENT)
    run_training(prepared.run, prepared.images, SILENT, lambda: False, lambda: time.monotonic() > until)
    return {**trained_row(out), "network": words}


def trained_row(folder: Path) -> dict[str, Any]:
    """Return what a line needs of a training's result."""
    result = json.loads((folder / "result.json").read_text())
    return {
        "macs": result["macs"],
        "params": result["params"],
        "validation": result["validation_top1"],
        "test": result["accuracy"],
        "test_images": result["images"]["test"],
        "correct": result["correct"],
        "epochs": result["epochs"],
        "stopped": result["stopped"],
    }


def classes_of(data: str) -> Sequence[str]:
    """Return the classes of a folder or a named data set."""
    from nas.evaluate.data.load import find_source

    return find_source(data).classes


def run(arguments: argparse.Namespace) -> None:
    """Run every arm of every cell that has no line yet, each in a process of its own."""
    root = Path(arguments.work)
    root.mkdir(parents=True, exist_ok=True)
    done = {key_of(row) for row in rows_of(root / JOURNAL)}
    arms = [*(["make"] if "make" in arguments.arms else []), *(f"stock:{name}" for name in arguments.stock)]
    arms += ["tpe"] if "tpe" in arguments.arms else []
    for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
        for folder in arguments.folders:
            for target in arguments.targets:
                for arm in arms:
                    cell = {"folder": folder, "target": target, "minutes": arguments.minutes, "seed": seed, "arm": arm}
                    if key_of(cell) in done:
                        continue
                    command = [sys.executable, "-m", "benchmarks.worth_it", "arm", json.dumps(cell)]
                    command += ["--data", arguments.data, "--work", arguments.work]
                    subprocess.run(command, check=False, env={**os.environ, "OMP_WAIT_POLICY": "PASSIVE"})


def run_arm(arguments: argparse.Namespace) -> None:
    """Run one arm in this process and append its line."""
    root, cell = Path(arguments.work), json.loads(arguments.cell)
    data = make_folder(Path(arguments.data), cell["folder"], root)
    minutes, seed, target = float(cell["minutes"]), int(cell["seed"]), str(cell["target"])
    out = root / "-".join(str(value).replace(":", "-") for value in cell.values())
    kind, _, name = str(cell["arm"]).partition(":")
    start = time.monotonic()
    if kind == "make":
        row = run_make(data, target, minutes, seed, out)
    elif kind == "stock":
        row = run_stock(name, data, target, minutes, seed, out)
    else:
        row = run_tpe(data, target, minutes, seed, out)
    line = {**cell, **row, "seconds": round(time.monotonic() - start, 1)}
    with (root / JOURNAL).open("a") as file:
        file.write(json.dumps(line) + "\n")
    print({key: value for key, value in line.items() if key != "correct"}, flush=True)


def key_of(row: dict[str, Any]) -> tuple[Any, ...]:
    """Return what distinguishes a line from the others."""
    return tuple(str(row[name]) for name in ("folder", "target", "minutes", "seed", "arm"))


def rows_of(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a journal; none if there is no such file."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def table(arguments: argparse.Namespace) -> None:
    """Print the comparison of every cell, those that ours loses first."""
    cells: dict[tuple[str, ...], dict[str, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for row in rows_of(Path(arguments.work) / JOURNAL):
        if "error" not in row:
            cells[row["folder"], row["target"], str(row["minutes"])][row["arm"]].append(row)
    lines = []
    for (folder, target, minutes), arms in cells.items():
        if "make" not in arms:
            continue
        for other in ("stock", "tpe"):
            if (against := best_of(arms, other)) is not None:
                lines.append(compared(folder, target, minutes, arms["make"], against))
    for _, text in sorted(lines, key=lambda line: line[0]):
        print(text)


def best_of(arms: dict[str, list[dict[str, Any]]], kind: str) -> tuple[str, list[dict[str, Any]]] | None:
    """Return the arm of a kind with the highest mean validation accuracy."""
    found = {name: rows for name, rows in arms.items() if name.partition(":")[0] == kind}
    if not found:
        return None
    return max(found.items(), key=lambda item: float(np.mean([row["validation"] for row in item[1]])))


def compared(
    folder: str, target: str, minutes: str, ours: list[dict[str, Any]], against: tuple[str, list[dict[str, Any]]]
) -> tuple[float, str]:
    """Return the difference of two arms over their common seeds, and the row of the table."""
    name, theirs = against
    seeds = sorted({row["seed"] for row in ours} & {row["seed"] for row in theirs})
    ours, theirs = ([row for row in rows if row["seed"] in seeds] for rows in (ours, theirs))
    flags = [np.stack([unpack(row["correct"], row["test_images"]) for row in rows]) for rows in (ours, theirs)]
    noise = measure_noise([[row["test"] for row in rows] for rows in (ours, theirs)])
    found = paired_difference(flags[0], flags[1], noise)
    cells = [folder, target, minutes, str(len(seeds)), name]
    for rows in (ours, theirs):
        test = float(np.mean([row["test"] for row in rows]))
        low, high = wilson_interval(test, rows[0]["test_images"])
        cells += [
            f"{100 * test:.1f} [{100 * low:.1f}, {100 * high:.1f}]",
            f"{np.mean([r['seconds'] for r in rows]):.0f}",
        ]
    cells.append(f"{100 * found.value:+.1f} ± {100 * found.half_width:.1f}")
    return found.value, "| " + " | ".join(cells) + " |"


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, work in (("run", run), ("arm", run_arm), ("table", table)):
        one = commands.add_parser(name)
        one.set_defaults(work_of=work)
        one.add_argument("--work", default="worth-it", help="folder of the images, runs and results")
        if name == "arm":
            one.add_argument("cell")
        if name != "table":
            one.add_argument("--data", default="cifar10.zip", help="CIFAR-10 as a zip of train/CLASS and test/CLASS")
        if name == "run":
            one.add_argument("--folders", nargs="+", default=["5x256", "10x400"])
            one.add_argument("--targets", nargs="+", default=["5M", "20M", "50M"])
            one.add_argument("--minutes", type=float, default=30)
            one.add_argument("--seeds", type=int, default=3)
            one.add_argument("--first-seed", type=int, default=0)
            one.add_argument("--stock", nargs="*", default=["resnet18", "mobilenet_v3_small", "efficientnet_b0"])
            one.add_argument("--arms", nargs="+", default=["make", "tpe"])
    arguments = parser.parse_args()
    arguments.work_of(arguments)


if __name__ == "__main__":
    main()
