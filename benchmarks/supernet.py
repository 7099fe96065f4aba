"""A supernet, a search with its weights and fine-tuning, against ``nas make`` and stock networks, in equal seconds.

    python -m benchmarks.worth_it run --folders 5x256 --targets 5M --minutes 30 --seeds 3
    python -m benchmarks.supernet run --folders 5x256 --targets 5M --minutes 30 --seeds 3
    python -m benchmarks.supernet table
    python -m benchmarks.supernet cost --space small-images --target-flops 4M,8M --data digits

The other arms, the folders and the lines are those of ``benchmarks.worth_it``. The supernet's arm has all cores and the
whole time for itself: 45% for the training of the supernet of ``own-images`` inside the band of the target, 15% for a
search by the default controller, the rest for the training of its network from the inherited weights. Both trainings
have the recipe of ``nas make``; from inherited weights, the learning rate is half of it.

``cost`` compares a step of the supernet with one of its largest network alone, each in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.worth_it import JOURNAL, compared, key_of, make_folder, rows_of, trained_row
from nas.core.callback import SILENT
from nas.core.cores import available_cores
from nas.search_spaces import space as spaces

_ARM, _SPACE, _RESOLUTION = "supernet", "own-images", 32
_TRAINING_SHARE, _SEARCH_SHARE = 0.45, 0.15
_RATE = 0.5  # of the learning rate, from inherited weights
_WARM_UP, _STEPS = 4, 12  # of a comparison of single steps
_BESIDE = 1.15  # factor on the time of a process beside which others train


def run_supernet(data: str, target: str, minutes: float, seed: int, out: Path) -> dict[str, Any]:
    """Train a supernet, search with it, and train the network that was found."""
    from nas.evaluate.data.settings import DataSettings
    from nas.make.fitted_training import fitted_config
    from nas.scale.find_network import find_network
    from nas.training.session import prepare_training, run_training

    start, whole = time.monotonic(), 60 * minutes
    net, run, trained = (out / name for name in ("net", "run", "trained"))
    curve = train_supernet(data, target, _TRAINING_SHARE * whole, seed, net)
    command = [
        sys.executable,
        "-m",
        "nas",
        "search",
        "--supernet",
        str(net),
        "--target-flops",
        target,
        "--out",
        str(run),
    ]
    command += ["--budget", f"{_SEARCH_SHARE * whole:.0f}s", "--workers", str(available_cores()), "--seed", str(seed)]
    subprocess.run([*command, "--no-report", "--quiet"], check=True, stdout=subprocess.DEVNULL)
    searched = json.loads((run / "result.json").read_text())
    network = find_network(str(run)).at(resolution=_RESOLUTION)
    settings = DataSettings(source=data, resolution=_RESOLUTION)
    config = fitted_config(network, str(run), settings, seed, whole - (time.monotonic() - start))
    rate = _RATE * config.recipe.learning_rate
    recipe = config.recipe.model_copy(update={"learning_rate": rate})
    config = config.model_copy(update={"recipe": recipe, "init": str(run.resolve())})
    prepared = prepare_training(network, config, trained, SILENT)
    run_training(prepared.run, prepared.images, SILENT, lambda: False, lambda: time.monotonic() - start > whole)
    found = {"inherited_test": searched["test_accuracy"], "trials": searched["trials"], "network": "supernet"}
    return {**trained_row(trained), **curve, **found}


def train_supernet(data: str, target: str, seconds: float, seed: int, out: Path) -> dict[str, Any]:
    """Train a supernet for about ``seconds``, in one process for each core."""
    import torch

    from nas.evaluate.data.load import load_data
    from nas.training.config import make_config
    from nas.training.estimate import timed_epoch
    from nas.training.recipe import SMALL_IMAGES, epochs_for
    from nas.training.session import run_training
    from nas.training.supernet.session import prepare_supernet
    from nas.training.supernet.work import new_trainer
    from nas.training.world import World

    start, cores = time.monotonic(), available_cores()
    values = {"thing": _SPACE, "resolution": _RESOLUTION, "seed": seed, "data": {"source": data}}
    config = make_config({**values, "supernet": {"target_flops": target}}, SMALL_IMAGES, ["recipe.threads=1"])
    images = load_data(config.data_settings(), views=config.views())
    part = config.recipe.model_copy(update={"batch_size": max(2, config.recipe.batch_size // cores)})
    torch.set_num_threads(1)
    alone = new_trainer(config.model_copy(update={"recipe": part}), images, torch.device("cpu"), World())
    epoch_s = timed_epoch(alone) / cores * _BESIDE
    recipe = epochs_for(config.recipe, max(1, int((seconds - 30) / epoch_s)), len(images.train.labels))
    workers = config.workers.model_copy(update={"count": cores if cores > 1 else 0})
    prepared = prepare_supernet(config.model_copy(update={"recipe": recipe, "workers": workers}), out, SILENT)
    run_training(prepared.run, prepared.images, SILENT, lambda: False, lambda: time.monotonic() - start > seconds)
    networks = json.loads((out / "result.json").read_text())["networks"]
    return {"supernet_epochs": recipe.epochs} | {name: one["test"]["top1"] for name, one in networks.items()}


def run(arguments: argparse.Namespace) -> None:
    """Run the arm of every cell that has no line yet."""
    root = Path(arguments.work)
    root.mkdir(parents=True, exist_ok=True)
    done = {key_of(row) for row in rows_of(root / JOURNAL)}
    for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
        for folder in arguments.folders:
            for target in arguments.targets:
                cell = {"folder": folder, "target": target, "minutes": arguments.minutes, "seed": seed, "arm": _ARM}
                if key_of(cell) in done:
                    continue
                data = str(Path(make_folder(Path(arguments.data), folder, root)).resolve())
                start = time.monotonic()
                row = run_supernet(data, target, arguments.minutes, seed, root / "-".join(map(str, cell.values())))
                line = {**cell, **row, "seconds": round(time.monotonic() - start, 1)}
                with (root / JOURNAL).open("a") as file:
                    file.write(json.dumps(line) + "\n")
                print({key: value for key, value in line.items() if key != "correct"}, flush=True)


def table(arguments: argparse.Namespace) -> None:
    """Print the comparison of every cell with each of the other arms, those that the supernet loses first."""
    rows = [row for row in rows_of(Path(arguments.work) / JOURNAL) if "error" not in row]
    lines = []
    for cell in sorted({key_of(row)[:3] for row in rows if row["arm"] == _ARM}):
        arms: dict[str, list[dict[str, Any]]] = {}
        for row in rows:
            if key_of(row)[:3] == cell:
                arms.setdefault(row["arm"], []).append(row)
        lines += [
            compared(cell[0], cell[1], cell[2], arms[_ARM], (name, own)) for name, own in arms.items() if name != _ARM
        ]
    for _, text in sorted(lines, key=lambda line: line[0]):
        print(text)


def cost(arguments: argparse.Namespace) -> None:
    """Print params, seconds of a step and memory of a supernet and of its largest network alone."""
    rows = {}
    for kind in ("supernet", "largest"):
        command = [sys.executable, "-m", "benchmarks.supernet", "step", "--kind", kind, "--space", arguments.space]
        command += ["--target-flops", arguments.target_flops, "--data", arguments.data]
        rows[kind] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
        print(kind, json.dumps(rows[kind]), flush=True)
    ratios = {name: round(rows["supernet"][name] / rows["largest"][name], 2) for name in rows["supernet"]}
    print("ratio", json.dumps(ratios))


def step(arguments: argparse.Namespace) -> None:
    """Time training steps of one of the two in this process, on one thread, and print a JSON line."""
    import torch

    from nas.core.cpu_tuning import tune_for_training
    from nas.evaluate.data.load import load_data
    from nas.search_spaces.catalogue import load_space
    from nas.search_spaces.module import build
    from nas.training.config import make_config
    from nas.training.recipe import SUPERNET
    from nas.training.supernet.plan import SupernetPlan, largest_resolution
    from nas.training.supernet.work import new_trainer
    from nas.training.trainer import Trainer
    from nas.training.world import World

    tune_for_training()
    torch.set_num_threads(1)
    resolution = largest_resolution(load_space(arguments.space))
    values = {"thing": arguments.space, "resolution": resolution, "data": {"source": arguments.data}}
    config = make_config({**values, "supernet": {"target_flops": arguments.target_flops}}, SUPERNET, [])
    images = load_data(config.data_settings(), views=config.views())
    assert config.supernet is not None
    if arguments.kind == "supernet":
        trainer: Trainer[Any] = new_trainer(config, images, torch.device("cpu"), World())
    else:
        plan = SupernetPlan.of(arguments.space, config.supernet)
        network = spaces.decode(plan.space, plan.largest)
        assert network is not None
        module = build(network.at(resolution=resolution, classes=len(images.classes)))
        recipe = config.recipe
        trainer = Trainer(module.to(memory_format=torch.channels_last), images, recipe, resolution)
    trainer.time_steps(_WARM_UP)
    start = time.perf_counter()
    trainer.time_steps(_STEPS)
    seconds = (time.perf_counter() - start) / _STEPS
    params = sum(parameter.numel() for parameter in trainer.module.parameters())
    print(json.dumps({"params": params, "step_ms": round(1000 * seconds, 1), "peak_mib": _peak_mib()}))


def _peak_mib() -> float:
    import resource

    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, work in (("cost", cost), ("step", step)):
        one = commands.add_parser(name)
        one.set_defaults(work_of=work)
        one.add_argument("--space", default="small-images")
        one.add_argument("--target-flops", default="4M,8M")
        one.add_argument("--data", default="digits")
        one.add_argument("--kind", default="supernet", choices=["supernet", "largest"])
    for name, work in (("run", run), ("table", table)):
        one = commands.add_parser(name)
        one.set_defaults(work_of=work)
        one.add_argument("--work", default="worth-it", help="folder of the images, runs and results")
        if name == "run":
            one.add_argument("--data", default="cifar10.zip", help="CIFAR-10 as a zip of train/CLASS and test/CLASS")
            one.add_argument("--folders", nargs="+", default=["5x256", "10x400"])
            one.add_argument("--targets", nargs="+", default=["5M"])
            one.add_argument("--minutes", type=float, default=30)
            one.add_argument("--seeds", type=int, default=3)
            one.add_argument("--first-seed", type=int, default=0)
    arguments = parser.parse_args()
    arguments.work_of(arguments)


if __name__ == "__main__":
    main()
