"""Problems for the comparison of controllers, with exact budgets, instant accuracies and a known best reward.

- ``imagenet-hard-400M`` and similar names: the 28-gene space ``efficientnet`` inside [360M, 400M] MACs, with
  accuracies from the ImageNet surrogate.
- ``imagenet-hard-400M-noisy``: the same with noise on each accuracy, as if each training had its own seed: a standard
  deviation of 0.26 points, as in the data that the surrogate is fitted to.
- ``imagenet-front``: the same space without a budget.
- ``synthetic``: 20 genes of 3 options; main effects are smaller than the interactions of pairs and triples. The best
  reward is that of three inner searches of 200,000 evaluations each.
- ``table``: 8 ordinal genes, 3,456 networks, all of them known.
- ``cells``: 6 genes of 5 unordered operations that interact in pairs; networks with too many absent operations have
  chance accuracy. All 15,625 networks are known.
- ``traps``: 40 genes of 2 options in eight deceptive groups of five. A group is best if all its genes are on;
  otherwise it is better the fewer of them are on.

Any other name is the path of a run configuration (YAML) with an instant evaluator. Its best reward is the best that any
player found.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from nas.controllers.predictor.inner_search import best_candidates
from nas.controllers.task import Numbers, Task
from nas.core.units import parse_count
from nas.evaluate.cost.domain import LimitedDomain
from nas.evaluate.cost.known_costs import KnownCosts
from nas.evaluate.cost.make_domain import limited_domain
from nas.evaluate.imagenet.prediction import SEARCH, SHIPPED, shipped_surrogate
from nas.evaluate.objective.limits import Limits, macs_band
from nas.evaluate.objective.reward import EXPONENTS, Factor, Reward
from nas.search_spaces.catalogue import load_space
from nas.search_spaces.domain import Domain, Genes

BEST_KNOWN = Path(__file__).parent / "best_known.json"
TARGETS = ("150M", "200M", "250M", "300M", "400M", "600M")
CONSTRAINTS = ("hard", "soft")
TOLERANCE = 0.1
SEED_NOISE = 0.0026  # standard deviation between seeds of the ImageNet trainings that the surrogate is fitted to
STRETCH, KEPT = 20_000, 200  # evaluations between restarts of a search, and genotypes kept at a restart


@dataclass(frozen=True)
class Problem:
    """One problem.

    Attributes:
        name: name of the problem.
        task: the task that controllers receive.
        accuracy: function that returns accuracies ``(n,)``, as fractions, for genotypes ``(n, genes)``.
        best: highest known reward; ``None`` if it is not known and the best reward that any player found is used.
        noise: standard deviation of a training's accuracy around the true accuracy, as a fraction.
    """

    name: str
    task: Task
    accuracy: Callable[[Genes], Numbers]
    best: float | None
    noise: float = 0.0

    def rewards(self, genes: Genes, accuracies: Numbers | None = None) -> Numbers:
        """Return the rewards ``(n,)`` of genotypes ``(n, genes)``, by the true or by the given accuracies."""
        found = self.accuracy(genes) if accuracies is None else accuracies
        return self.task.reward.many({**self.task.domain.costs(genes), "accuracy": found})

    def measure(self, genes: Genes, generator: np.random.Generator) -> Numbers:
        """Return the measured accuracies ``(n,)`` of genotypes ``(n, genes)``: the true accuracies plus noise."""
        return self.accuracy(genes) + self.noise * generator.standard_normal(len(genes))


@dataclass(frozen=True)
class PlainSpace:
    """A space of plain option indices, without networks."""

    name: str
    gene_sizes: tuple[int, ...]


def load_problem(name: str) -> Problem:
    """Return a problem by name."""
    if name.startswith("imagenet-"):
        return _imagenet(name)
    if name == "synthetic":
        return _interactions(name, (3,) * 20, np.random.default_rng(0), main=0.5, strength=1.0, share=0.3, triples=0.1)
    if name == "table":
        sizes = (3, 2, 3, 2, 4, 2, 3, 4)
        return _interactions(name, sizes, np.random.default_rng(1), main=1.0, strength=0.3, share=0.6, triples=0.0)
    if name == "cells":
        return _cells(name, np.random.default_rng(2))
    if name == "traps":
        return _traps(name, np.random.default_rng(3))
    return _configured(name)


def surrogate_hash() -> str:
    """Return a hash that identifies the shipped surrogate."""
    return hashlib.sha256(SHIPPED.read_bytes()).hexdigest()[:16]


def best_of_searches(problem: Problem, runs: int, evaluations: int) -> list[float]:
    """Return the best reward of each of ``runs`` evolutionary searches, which use ``evaluations`` true rewards each."""
    found = []
    for seed in range(runs):
        generator, best = np.random.default_rng(seed), -np.inf
        genes: Genes = np.zeros((0, len(problem.task.domain.space.gene_sizes)), dtype=np.int64)
        for _ in range(evaluations // STRETCH):
            genes, rewards = best_candidates(problem.task.domain, problem.rewards, generator, genes[:KEPT], STRETCH)
            best = max(best, float(rewards[0]))
        found.append(best)
    return found


def _imagenet(name: str) -> Problem:
    space = load_space("efficientnet")
    known = KnownCosts(space)

    def accuracy(genes: Genes) -> Numbers:
        return np.asarray(shipped_surrogate().accuracy(genes, SEARCH)[0], dtype=np.float64) / 100

    _, constraint, *target = name.split("-")
    if constraint == "front":
        return Problem(name, Task(LimitedDomain(space, known, Limits())), accuracy, None)
    macs = parse_count(target[0], "MACs")
    domain = limited_domain(space, known, Limits((macs_band(macs, TOLERANCE),)))
    task = Task(domain, Reward((Factor("macs", macs, *EXPONENTS[constraint]),)))
    return Problem(name, task, accuracy, _best_known(name.removesuffix("-noisy")), SEED_NOISE * name.endswith("-noisy"))


def _best_known(name: str) -> float | None:
    """Return the stored best reward of a problem; ``None`` if it was found with a different surrogate."""
    stored: dict[str, Any] = json.loads(BEST_KNOWN.read_text()) if BEST_KNOWN.exists() else {}
    if stored.get("surrogate") != surrogate_hash():
        return None
    found = stored["best"].get(name)
    return None if found is None else float(found)


def _interactions(
    name: str,
    sizes: tuple[int, ...],
    generator: np.random.Generator,
    *,
    main: float,
    strength: float,
    share: float,
    triples: float,
) -> Problem:
    """Return a problem with main effects of single genes, and interactions of pairs and triples of genes."""
    tables: list[tuple[tuple[int, ...], Numbers]] = [
        ((gene,), main * np.sort(generator.normal(size=options))) for gene, options in enumerate(sizes)
    ]
    for order, chance in ((2, share), (3, triples)):
        for genes in combinations(range(len(sizes)), order):
            if generator.random() < chance:
                tables.append((genes, strength * generator.normal(size=tuple(sizes[gene] for gene in genes))))

    def value(genes: Genes) -> Numbers:
        parts = [table[tuple(genes[:, gene] for gene in places)] for places, table in tables]
        return np.asarray(np.sum(parts, axis=0))

    domain = Domain(PlainSpace(name, sizes))
    listing = domain.listing()
    drawn = generator.integers(0, sizes, size=(50_000, len(sizes))) if listing is None else listing
    values = value(drawn)
    middle, scale = float(values.mean()), 0.02 / float(values.std())

    def accuracy(genes: Genes) -> Numbers:
        return 0.7 + scale * (value(genes) - middle)

    problem = Problem(name, Task(domain), accuracy, None)
    best = max(best_of_searches(problem, 3, 200_000)) if listing is None else float(accuracy(listing).max())
    return Problem(name, problem.task, accuracy, best)


def _cells(name: str, generator: np.random.Generator) -> Problem:
    """Return a problem like those of cell-based benchmarks: unordered operations, some networks at chance level."""
    genes, worth = 6, np.array([-2.0, 0.2, 0.6, 1.0, -0.1])  # absent, skip, 1x1, 3x3, pooling
    operation = np.stack([generator.permutation(len(worth)) for _ in range(genes)])
    pairs = 0.25 * generator.normal(size=(genes, genes, len(worth), len(worth)))

    def accuracy(rows: Genes) -> Numbers:
        chosen = np.stack([operation[gene][rows[:, gene]] for gene in range(genes)], axis=1)
        total = 0.5 * worth[chosen].sum(axis=1)
        for first, second in combinations(range(genes), 2):
            total += pairs[first, second, chosen[:, first], chosen[:, second]]
        return np.where((chosen == 0).sum(axis=1) >= 3, 0.1, 0.94 - 0.05 * np.exp(-0.5 * np.maximum(total, -4)))

    domain = Domain(PlainSpace(name, (len(worth),) * genes))
    listing = domain.listing()
    assert listing is not None
    return Problem(name, Task(domain), accuracy, float(accuracy(listing).max()))


def _traps(name: str, generator: np.random.Generator) -> Problem:
    """Return concatenated deceptive traps (Deb and Goldberg 1993): the effects of single genes mislead."""
    groups = generator.permutation(40).reshape(8, 5)
    weights = 0.5 + generator.random(len(groups))
    share = 0.4 * weights / weights.sum()

    def accuracy(rows: Genes) -> Numbers:
        on = rows[:, groups].sum(axis=2)
        return np.asarray(0.5 + np.where(on == 5, 1.0, 0.2 * (4 - on)) @ share)

    return Problem(name, Task(Domain(PlainSpace(name, (2,) * 40))), accuracy, 0.5 + float(share.sum()))


def _configured(path: str) -> Problem:
    """Return the problem of a run configuration."""
    from nas.core.records import Architecture
    from nas.search.assemble import prepare
    from nas.search.config import load_config
    from nas.search_spaces.space import decode

    setup = prepare(load_config(path, {}, []))
    evaluator = setup.recipe.make(None)

    def accuracy(genes: Genes) -> Numbers:
        rows = [Architecture(setup.space.name, tuple(row)) for row in genes.tolist()]
        return np.array([evaluator.evaluate(row, decode(setup.space, row))["accuracy"] for row in rows])

    return Problem(path, setup.task, accuracy, None)


def main() -> None:
    """Find the best reward of every ImageNet problem and store it with the surrogate's hash."""
    names = [f"imagenet-{constraint}-{target}" for constraint in CONSTRAINTS for target in TARGETS]
    best = {}
    for name in names:
        runs = best_of_searches(load_problem(name), 5, 200_000)
        best[name] = max(runs)
        print(f"{name:<22}{max(runs):.6f}   of {', '.join(f'{run:.6f}' for run in runs)}", flush=True)
    data = {"surrogate": surrogate_hash(), "evaluations": "best of 5 runs of 200,000", "best": best}
    BEST_KNOWN.write_text(json.dumps(data, indent=2) + "\n")


if __name__ == "__main__":
    main()
