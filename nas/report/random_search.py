"""The best reward that random search would reach: the curve that a controller has to beat."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas.controllers.registry import fitted_options
from nas.core.errors import InputError
from nas.core.program import program
from nas.core.records import Architecture, Trial
from nas.core.user_code import opened_run
from nas.report.facts import Facts
from nas.search.assemble import Setup, prepare
from nas.search.b0_comparison import sample_inside
from nas.search.inputs import kept_inputs

SAMPLE = 5_000
LEAST = 5  # smallest number of random trials for an estimate
# Controllers whose first trials are drawn uniformly, and the option with the number of these trials.
_RANDOM_FIRST = {"evolution": "population", "nsga2": "population"}


@dataclass(frozen=True)
class RandomSearch:
    """A curve to compare a search with.

    Attributes:
        best: best reward after 1, 2, 3, ... trials ``(n,)``.
        label: label in the chart's legend.
        source: description of the trials or draws behind the curve.
        independent: whether the curve comes from trials other than the search's own, so that the search can be compared
            with it.
    """

    best: NDArray[np.float64]
    label: str
    source: str
    independent: bool


def expected_best(rewards: Sequence[float] | NDArray[np.float64], draws: int) -> NDArray[np.float64]:
    """Return the expected maximum of 1, ..., ``draws`` draws with replacement ``(draws,)``.

    The i-th smallest of N values is the maximum of n draws with probability (i/N)^n - ((i-1)/N)^n.
    """
    ordered = np.sort(np.asarray(rewards, dtype=float))
    below = np.arange(len(ordered) + 1) / len(ordered)
    numbers = np.unique(np.geomspace(1, draws, min(draws, 400)).round().astype(int))
    powers = below[None, :] ** numbers[:, None]
    values = (powers[:, 1:] - powers[:, :-1]) @ ordered
    return np.asarray(np.interp(np.arange(1, draws + 1), numbers, values), dtype=np.float64)


def expected_best_of_own(rewards: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the expected maximum of 1, ..., N draws without replacement from N values ``(N,)``.

    The i-th smallest value is the maximum of n draws with probability C(i-1, n-1) / C(N, n). The curve ends at N draws.
    """
    ordered = np.sort(np.asarray(rewards, dtype=float))
    count = len(ordered)
    found = np.empty(count)
    for draws in range(1, count + 1):
        weight, total = draws / count, 0.0  # weight of the largest value; the others follow by recursion
        for place in range(count, draws - 1, -1):
            total += weight * ordered[place - 1]
            weight *= (place - draws) / (place - 1) if place > 1 else 0.0
        found[draws - 1] = total
    return found


def random_search(facts: Facts, against: Facts | None = None) -> RandomSearch | str:
    """Return the curve of random search, or the reason why there is none.

    If ``against`` is given, the curve is the best reward of that run, which should be one by ``--controller random``.
    If accuracies are looked up or predicted, random architectures inside the limits are scored by the same evaluator.
    If networks are trained, the first trials of ``evolution`` and ``nsga2`` are used, because they are drawn at random;
    the curve then ends after these trials.
    """
    if against is not None:
        rewards = np.array([np.nan if trial.reward is None else trial.reward for trial in against.trials])
        controller = against.config.controller["name"]
        source = f"the run '{against.name}' by {controller}, {len(rewards):,} trials"
        return RandomSearch(np.fmax.accumulate(rewards), f"{against.name} ({controller})", source, True)
    if facts.is_predicted:
        try:
            with opened_run():
                setup = prepare(kept_inputs(facts.path, facts.config), resumed=True)
        except (InputError, OSError) as error:
            return f"no random search was drawn: {error}"
        scored = _looked_up(setup)
        if scored is None:
            return "no random search was drawn: the space cannot sample many architectures at once"
        source = f"{len(scored):,} architectures drawn at random inside the limits, scored by the same evaluator"
        return RandomSearch(expected_best(scored, len(facts.trials)), "random search, expected", source, True)
    name = str(facts.config.controller["name"])
    if facts.scaling:
        return "the trials form a grid, so there is no search to compare"
    if name == "random":
        return "this search is random itself"
    first = _first_trials(facts, name)
    if len(first) < LEAST or facts.config.rungs:
        path = shlex.quote(str(facts.path))
        other = f"{program()} search --config {path}/config.yaml --controller random --out runs/random"
        compared = f"{program()} report {path} --against runs/random"
        return f"no random search is known for these trainings; to add one, run {other}, then {compared}"
    worth = [0.0 if trial.reward is None else trial.reward for trial in first]
    source = f"the first {len(first)} trials, which were drawn at random, averaged over all orders"
    return RandomSearch(expected_best_of_own(worth), "random draws, expected", source, False)


def _looked_up(setup: Setup) -> NDArray[np.float64] | None:
    """Return the rewards of random architectures, by the run's own evaluator."""
    generator = np.random.default_rng(0)
    if setup.evaluator.is_predicted:
        from nas.evaluate.imagenet.prediction import SEARCH, shipped_surrogate
        from nas.evaluate.imagenet.skeleton import skeleton_genes

        genes = sample_inside(setup, SAMPLE, generator)
        if genes is None or not len(genes):
            return None
        accuracy = shipped_surrogate().accuracy(skeleton_genes(setup.space, genes), SEARCH)[0]
        columns = {**setup.costs.columns(genes), "accuracy": accuracy.astype(np.float64) / 100}
        return np.asarray(setup.reward.many(columns), dtype=np.float64)
    ready = setup.recipe.ready
    assert ready is not None
    drawn: list[Architecture] = []
    for _ in range(SAMPLE):
        if (one := setup.domain.sample(generator)) is not None:
            drawn.append(one)
    if not drawn:
        return None
    return np.array([setup.reward({**ready.evaluate(one, None), **setup.costs(one)}) for one in drawn])


def _first_trials(facts: Facts, name: str) -> Sequence[Trial]:
    """Return the first trials if the controller drew them uniformly, failed trials included; otherwise none."""
    if facts.config.warm_start is not None or name not in _RANDOM_FIRST:
        return []
    config = facts.config
    options = fitted_options(name, config.expected_trials or config.trials, config.controller_options)
    return [trial for trial in facts.trials if trial.number < int(options[_RANDOM_FIRST[name]])]
