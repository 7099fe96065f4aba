"""The players in a comparison of controllers: our controllers, and other libraries as their users run them."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.problems import Problem
from nas.controllers.registry import make_controller
from nas.controllers.task import Numbers
from nas.core.records import Architecture, Trial
from nas.search_spaces.domain import Genes

OBJECTIVES = ["accuracy", "macs"]
Raw = Callable[[Problem, int, int], tuple[Genes, Numbers]]  # problem, seed, evaluations -> genotypes, measured rewards


@dataclass(frozen=True)
class Course:
    """The evaluations of one player on one problem with one seed.

    Attributes:
        genes: evaluated genotypes ``(evaluations, genes)``, in the order in which their evaluations finished.
        rewards: true rewards of the genotypes, ``(evaluations,)``.
        measured: rewards that the player received, with noise if the problem has it, ``(evaluations,)``.
        seconds: seconds spent in the player itself.
    """

    genes: Genes
    rewards: Numbers
    measured: Numbers
    seconds: float


@dataclass(frozen=True)
class Player:
    """A player: one line of the table.

    Attributes:
        label: the player's name in the table.
        name: name of the controller.
        options: options of the controller.
        raw: function that runs another library directly, without our band and deduplication, one evaluation at a time.
    """

    label: str
    name: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    raw: Raw | None = None

    def play(self, problem: Problem, seed: int, evaluations: int, workers: int) -> Course:
        """Run one problem; with several workers, trials end in random order, and each is replaced when it ends."""
        if self.raw is not None:
            start = time.perf_counter()
            genes, measured = self.raw(problem, seed, evaluations)
            return Course(genes, problem.rewards(genes), measured, time.perf_counter() - start)
        controller = make_controller(self.name, problem.task, seed, self.options)
        order, noise = np.random.default_rng([seed, 1]), np.random.default_rng([seed, 2])
        running: list[Architecture] = []
        finished: list[tuple[int, ...]] = []
        rewards: list[float] = []
        seconds = 0.0
        while len(finished) < evaluations:
            start = time.perf_counter()
            running += controller.ask(min(workers - len(running), evaluations - len(finished) - len(running)))
            seconds += time.perf_counter() - start
            if not running:
                break
            ended = running.pop(int(order.integers(len(running))))
            trial = trial_of(problem, len(finished), ended, noise)
            finished.append(ended.genes)
            rewards.append(float(trial.reward or 0))
            start = time.perf_counter()
            controller.tell([trial])
            seconds += time.perf_counter() - start
        genes = np.array(finished)
        return Course(genes, problem.rewards(genes), np.array(rewards), seconds)


def players(names: list[str]) -> list[Player]:
    """Return the players with the given labels.

    Raises:
        SystemExit: if a label is not known; the message lists the known labels.
    """
    known = {player.label: player for player in KNOWN}
    if unknown := [name for name in names if name not in known]:
        raise SystemExit(f"unknown players: {', '.join(unknown)}; known players: {', '.join(known)}")
    return [known[name] for name in names]


def trial_of(problem: Problem, number: int, architecture: Architecture, noise: np.random.Generator) -> Trial:
    """Evaluate an architecture."""
    row = np.array([architecture.genes], dtype=np.int64)
    accuracy = problem.measure(row, noise)
    columns = {**problem.task.domain.costs(row), "accuracy": accuracy}
    metrics = {name: float(values[0]) for name, values in columns.items()}
    return Trial(number, architecture, "ok", metrics, float(problem.task.reward.many(columns)[0]))


def _raw_optuna(sampler: str, multi: bool = False, ordered: bool = False) -> Raw:
    """Return a function that runs a plain Optuna study.

    Every gene is categorical (or an integer if ``ordered``); the study gets the plain reward, or both objectives.
    """

    def play(problem: Problem, seed: int, evaluations: int) -> tuple[Genes, Numbers]:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        sizes, noise = problem.task.domain.space.gene_sizes, np.random.default_rng([seed, 2])
        seen: list[list[int]] = []
        told: list[float] = []

        def objective(trial: optuna.Trial) -> Any:
            genes = [
                trial.suggest_int(f"gene{gene}", 0, size - 1)
                if ordered
                else trial.suggest_categorical(f"gene{gene}", range(size))
                for gene, size in enumerate(sizes)
            ]
            row = np.array([genes], dtype=np.int64)
            accuracy = problem.measure(row, noise)
            seen.append(genes)
            told.append(float(problem.rewards(row, accuracy)[0]))
            return (float(accuracy[0]), float(problem.task.domain.costs(row)["macs"][0])) if multi else told[-1]

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            best = optuna.study.StudyDirection
            directions = [best.MAXIMIZE, best.MINIMIZE] if multi else [best.MAXIMIZE]
            study = optuna.create_study(directions=directions, sampler=getattr(optuna.samplers, sampler)(seed=seed))
            study.optimize(objective, n_trials=evaluations)
        return np.array(seen, dtype=np.int64), np.array(told)

    return play


def _raw_pymoo(problem: Problem, seed: int, evaluations: int) -> tuple[Genes, Numbers]:
    """Run pymoo's NSGA-II on integer variables, with pymoo's operators for integers, in generations of 40."""
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.core.problem import Problem as Vectorised
    from pymoo.operators.crossover.sbx import SBX
    from pymoo.operators.mutation.pm import PM
    from pymoo.operators.repair.rounding import RoundingRepair
    from pymoo.operators.sampling.rnd import IntegerRandomSampling
    from pymoo.optimize import minimize

    sizes, seen = np.asarray(problem.task.domain.space.gene_sizes), []

    class Front(Vectorised):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(n_var=len(sizes), n_obj=2, xl=np.zeros(len(sizes)), xu=sizes - 1, vtype=int)

        def _evaluate(self, x: Any, out: dict[str, Any], *_: Any, **__: Any) -> None:
            genes = np.asarray(x, dtype=np.int64)
            seen.append(genes)
            out["F"] = np.stack([-problem.accuracy(genes), problem.task.domain.costs(genes)["macs"] / 1e9], axis=1)

    algorithm = NSGA2(
        pop_size=40,
        sampling=IntegerRandomSampling(),
        crossover=SBX(prob=1.0, eta=3.0, vtype=float, repair=RoundingRepair()),
        mutation=PM(prob=1.0, eta=3.0, vtype=float, repair=RoundingRepair()),
        eliminate_duplicates=True,
    )
    minimize(Front(), algorithm, ("n_eval", evaluations), seed=seed, verbose=False)
    genes = np.concatenate(seen)[:evaluations]
    return genes, problem.rewards(genes)


KNOWN = (
    Player("random", "random"),
    Player("evolution", "evolution"),
    Player("local", "local"),
    Player("nsga2", "nsga2", {"objectives": ["reward"]}),
    Player("rl", "rl"),
    Player("reinforce", "rl", {"algorithm": "reinforce"}),
    Player("predictor", "predictor"),
    Player("TPE", "optuna:TPESampler"),
    Player("GP", "optuna:GPSampler"),
    Player("NSGA-II", "optuna:NSGAIISampler"),
    Player("TPE raw", raw=_raw_optuna("TPESampler")),
    Player("NSGA-II raw", raw=_raw_optuna("NSGAIISampler")),
    Player("GP raw", raw=_raw_optuna("GPSampler", ordered=True)),
    Player("random raw", raw=_raw_optuna("RandomSampler")),
    Player("predictor, 2 objectives", "predictor", {"objectives": OBJECTIVES}),
    Player("nsga2, 2 objectives", "nsga2", {"objectives": OBJECTIVES}),
    Player("NSGA-II, 2 objectives", "optuna:NSGAIISampler", {"objectives": OBJECTIVES}),
    Player("MOTPE", "optuna:TPESampler", {"objectives": OBJECTIVES}),
    Player("NSGA-II raw, 2 objectives", raw=_raw_optuna("NSGAIISampler", multi=True)),
    Player("MOTPE raw", raw=_raw_optuna("TPESampler", multi=True)),
    Player("pymoo NSGA-II", raw=_raw_pymoo),
)
