"""What random search would have come to: the curve that a controller has to beat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas.evaluate.evaluators import IMAGENET, TABLE
from nas.report.facts import Facts
from nas.search_spaces.errors import InputError
from nas.search_spaces.records import Architecture, Trial
from nas.setup import Setup, prepare

SAMPLE = 5_000
LEAST = 5  # random trials that an estimate is made from
BEYOND = 3  # times as many draws as there were random trials are told of at most
FIRST = ("initial", "population")  # options that say how many random trials come first


@dataclass(frozen=True)
class RandomSearch:
    """The expected best reward of random draws.

    Attributes:
        best: after 1, 2, 3, ... draws ``(n,)``.
        source: what it was computed from, in words.
    """

    best: NDArray[np.float64]
    source: str


def expected_best(rewards: Sequence[float] | NDArray[np.float64], draws: int) -> NDArray[np.float64]:
    """Return the expected largest of 1, ..., ``draws`` draws with replacement ``(draws,)``.

    Of n draws the i-th smallest of N values is the largest with probability (i/N)^n - ((i-1)/N)^n.
    """
    ordered = np.sort(np.asarray(rewards, dtype=float))
    below = np.arange(len(ordered) + 1) / len(ordered)
    numbers = np.unique(np.geomspace(1, draws, min(draws, 400)).round().astype(int))
    powers = below[None, :] ** numbers[:, None]
    values = (powers[:, 1:] - powers[:, :-1]) @ ordered
    return np.asarray(np.interp(np.arange(1, draws + 1), numbers, values), dtype=np.float64)


def random_search(facts: Facts) -> RandomSearch | str:
    """Return the curve, or why there is none.

    Where accuracies are looked up or predicted, random architectures from inside the limits are scored alike; where
    networks are trained, the trials that the controller began with before it had learnt anything stand for random ones.
    """
    if facts.is_predicted:
        try:
            setup = prepare(facts.config, resumed=True)
        except (InputError, OSError) as error:
            return f"no random search was drawn: {error}"
        rewards = _looked_up(setup)
        if rewards is None:
            return "no random search was drawn: the space cannot be sampled many at a time"
        source = f"{len(rewards):,} architectures drawn at random from inside the limits and scored alike"
        return RandomSearch(expected_best(rewards, len(facts.trials)), source)
    first = _first_trials(facts)
    known = [trial.reward for trial in first if trial.reward is not None]
    if len(known) < LEAST:
        return f"no random search is shown: it takes {LEAST} trials that were drawn before anything was learnt"
    draws = len(facts.trials) if len(first) == len(facts.trials) else min(len(facts.trials), BEYOND * len(known))
    source = f"estimated from the {len(known)} trials that came before the controller had learnt anything"
    return RandomSearch(expected_best(known, draws), source)


def _looked_up(setup: Setup) -> NDArray[np.float64] | None:
    """Return the rewards of random architectures, by the run's own evaluator."""
    generator, name = np.random.default_rng(0), setup.config.evaluator["name"]
    if name == IMAGENET:
        from nas.evaluate.surrogate.prediction import SEARCH, shipped_surrogate
        from nas.evaluate.surrogate.skeleton import skeleton_genes

        genes = setup.domain.sample_genes(generator, SAMPLE)
        if genes is None or not len(genes):
            return None
        accuracy = shipped_surrogate().accuracy(skeleton_genes(setup.space, genes), SEARCH)[0]
        columns = {**setup.costs.columns(genes), "accuracy": accuracy.astype(np.float64) / 100}
        return np.asarray(setup.reward.many(columns), dtype=np.float64)
    assert name == TABLE
    ready = setup.recipe.ready
    assert ready is not None
    drawn: list[Architecture] = []
    for _ in range(SAMPLE):
        if (one := setup.domain.sample(generator)) is not None:
            drawn.append(one)
    if not drawn:
        return None
    return np.array([setup.reward({**ready.evaluate(one, None), **setup.costs(one)}) for one in drawn])


def _first_trials(facts: Facts) -> Sequence[Trial]:
    """Return the trials that were drawn before anything was learnt."""
    if facts.config.warm_start is not None:
        return []
    name = str(facts.config.controller["name"])
    if name == "random" or facts.scaling:
        return facts.trials
    try:
        options = _fitted(facts)
    except InputError:
        return []
    count = next((int(options[key]) for key in FIRST if key in options), 0)
    return [trial for trial in facts.trials if trial.number < count]


def _fitted(facts: Facts) -> dict[str, int]:
    from nas.controllers.registry import fitted_options

    config = facts.config
    trials = config.expected_trials or config.trials
    return dict(fitted_options(config.controller["name"], trials, config.controller_options))
