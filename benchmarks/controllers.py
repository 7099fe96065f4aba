"""Compare controllers with Optuna's samplers and pymoo by the evaluations they need, in one run.

    python -m benchmarks.controllers --problems imagenet-hard-400M --players predictor,evolution,random,TPE
    python -m benchmarks.controllers --hypervolume

Regret is 100 times the difference between the best known reward and the best reward found so far, in points of
accuracy; the table shows medians and quartiles over seeds. All players except the raw ones propose only networks inside
the same band, and no network twice. With ``--workers 64``, 64 evaluations run at once and end in random order. With
``--hypervolume`` the problem has two objectives, accuracy and MACs, and the table shows the lost share of the best
known hypervolume, in percent.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.players import Course, players
from benchmarks.problems import Problem, load_problem
from nas.controllers.task import Numbers

CHECKPOINTS = (25, 50, 100, 200, 300, 500, 1000, 2000, 4000, 8000)
CLOSE = 0.05  # points from the best known reward that count as close
SINGLE = "random,evolution,local,predictor,TPE,NSGA-II"
DOUBLE = "predictor, 2 objectives;nsga2, 2 objectives;NSGA-II, 2 objectives;MOTPE;pymoo NSGA-II"
REFERENCE = (0.4, 900e6)  # accuracy and MACs of the hypervolume's reference point


def main() -> None:
    arguments = _arguments()
    default = "imagenet-front" if arguments.hypervolume else "imagenet-hard-400M"
    for name in (arguments.problems or default).split(","):
        compare(name, arguments)


def compare(name: str, arguments: argparse.Namespace) -> None:
    """Run all players on one problem and print, draw and store the results."""
    labels = arguments.players or (DOUBLE if arguments.hypervolume else SINGLE)
    chosen = players(labels.split(";" if ";" in labels or arguments.hypervolume else ","))
    problem = load_problem(name)
    curves: dict[str, Numbers] = {}
    seconds: dict[str, float] = {}
    measure = _hypervolumes if arguments.hypervolume else _best_so_far
    with ProcessPoolExecutor(arguments.jobs) as pool:
        for player in chosen:
            task = partial(_play, name, player.label, arguments.evaluations, arguments.workers)
            courses = list(pool.map(task, range(arguments.seeds)))
            curves[player.label] = np.array([measure(problem, course, arguments.evaluations) for course in courses])
            spent = [course.seconds / len(course.rewards) for course in courses]
            seconds[player.label] = float(np.median(spent))
            print(f"{name}: {player.label} has finished", file=sys.stderr, flush=True)
    best = problem.best if problem.best is not None else max(float(curve.max()) for curve in curves.values())
    what = "lost share of the hypervolume, percent" if arguments.hypervolume else "regret, points"
    losses = {label: 100 * (best - curve) / (best if arguments.hypervolume else 1) for label, curve in curves.items()}
    _print(name, what, best, losses, seconds, arguments)
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        stem = f"{Path(name).stem}-{arguments.workers}" if arguments.workers > 1 else Path(name).stem
        _draw(arguments.out / f"{stem}.png", name, what, losses)
        stored = {label: curve.round(4).tolist() for label, curve in losses.items()}
        (arguments.out / f"{stem}.json").write_text(json.dumps({"best": best, "losses": stored}))


def _play(name: str, label: str, evaluations: int, workers: int, seed: int) -> Course:
    (player,) = players([label])
    return player.play(load_problem(name), seed, evaluations, workers)


def _best_so_far(_: Problem, course: Course, evaluations: int) -> Numbers:
    """Return the best reward after each evaluation; with noise, the true reward of the best measured genotype.

    If the space was exhausted before the last evaluation, the last value is repeated.
    """
    leads = course.measured >= np.maximum.accumulate(course.measured)
    best = course.rewards[np.maximum.accumulate(np.where(leads, np.arange(len(leads)), 0))]
    return np.concatenate([best, np.full(evaluations - len(best), best[-1])])


def _hypervolumes(problem: Problem, course: Course, evaluations: int) -> Numbers:
    """Return the hypervolume of accuracy and MACs after each evaluation, in steps of 5."""
    import moocore

    points = np.stack([-problem.accuracy(course.genes), problem.task.domain.costs(course.genes)["macs"]], axis=1)
    scaled = (points - [-REFERENCE[0], 0]) / [REFERENCE[0], REFERENCE[1]]
    ends = [min(5 * (end // 5 + 1), len(points)) for end in range(evaluations)]
    known = {end: float(moocore.hypervolume(scaled[:end], ref=[0.0, 1.0])) for end in sorted(set(ends))}
    return np.array([known[end] for end in ends])


def _print(
    name: str,
    what: str,
    best: float,
    losses: dict[str, Numbers],
    seconds: dict[str, float],
    arguments: argparse.Namespace,
) -> None:
    shown = [point for point in CHECKPOINTS if point <= arguments.evaluations]
    running = f", {arguments.workers} at once" if arguments.workers > 1 else ""
    print(f"\n{name}: {what} ({arguments.seeds} seeds{running}; best known {best:.6f}); median [quartiles]")
    print(f"{'':<26}" + "".join(f"{point:>20}" for point in shown) + f"{'within ' + str(CLOSE):>20}{'ms':>8}")
    for label, loss in losses.items():
        cells = [_quartiles(loss[:, point - 1]) for point in shown]
        print(
            f"{label:<26}" + "".join(f"{cell:>20}" for cell in cells) + _reached(loss) + f"{1e3 * seconds[label]:>8.1f}"
        )


def _quartiles(values: Numbers) -> str:
    low, middle, high = np.percentile(values, [25, 50, 75])
    return f"{middle:.2f} [{low:.2f}, {high:.2f}]"


def _reached(loss: Numbers) -> str:
    """Return the median number of evaluations until the regret is small, and the number of seeds that reached it."""
    close = loss <= CLOSE
    first = np.where(close.any(axis=1), close.argmax(axis=1) + 1, np.inf)
    median = float(np.median(first))
    text = f"{median:.0f}" if np.isfinite(median) else f">{loss.shape[1]}"
    return f"{text + f' ({int(close.any(axis=1).sum())}/{len(loss)})':>20}"


def _draw(path: Path, title: str, what: str, losses: dict[str, Numbers]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4.5))
    for label, loss in losses.items():
        low, middle, high = np.percentile(loss, [25, 50, 75], axis=0)
        steps = np.arange(1, len(middle) + 1)
        (line,) = axes.plot(steps, middle, label=label)
        axes.fill_between(steps, low, high, color=line.get_color(), alpha=0.15)
    axes.set(xlabel="evaluations", ylabel=what, title=title, ylim=(0, None), xscale="log")
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def _arguments(given: Sequence[str] | None = None) -> Any:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--problems", help="comma-separated; see benchmarks/problems.py")
    parser.add_argument("--players", help="comma-separated (semicolons with --hypervolume); see benchmarks/players.py")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--evaluations", type=int, default=500)
    parser.add_argument("--workers", type=int, default=1, help="evaluations that run at once")
    parser.add_argument("--jobs", type=int, default=1, help="parallel processes, each with one seed")
    parser.add_argument("--hypervolume", action="store_true", help="two objectives, accuracy and MACs")
    parser.add_argument("--out", type=Path, help="folder for pictures and curves")
    return parser.parse_args(given)


if __name__ == "__main__":
    main()
