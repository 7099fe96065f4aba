"""Warm start: what a new run takes over from an earlier one.

Of a run on the same images, the controller learns the accuracies. Accuracies on other images do not compare, but
networks that rank high on one set of images often rank high on another. So of a run on other images only the order is
taken over: its best networks inside this run's budget are the first that are trained.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from nas.controllers.registry import find_controller
from nas.core.errors import InputError
from nas.core.records import Architecture, Trial
from nas.evaluate.cost.known_costs import KnownCosts
from nas.evaluate.objective.reward import Reward
from nas.search.config import RunConfig
from nas.search.run_directory import read_identity, read_trials
from nas.search_spaces import space as spaces
from nas.search_spaces.domain import Domain
from nas.search_spaces.space import SearchSpace

_MOST, _LEAST = 8, 2  # networks that are taken over from a run on other images
_SHARE = 4  # at most one in this many trials is taken over


def earlier_trials(
    config: RunConfig, space: SearchSpace, costs: KnownCosts, maximised: Reward, resumed: bool
) -> list[Trial]:
    """Return the trials of the run that ``warm_start`` names, with this run's costs and rewards.

    Raises:
        InputError: if it has no trials, they belong to another space, or the controller cannot learn from them.
    """
    if config.warm_start is None or (resumed and not Path(config.warm_start).is_dir()):
        return []
    name = config.controller["name"]
    if not find_controller(name).learns:
        raise InputError(
            f"warm_start: controller '{name}' does not learn from an earlier run; use predictor, evolution, nsga2, "
            "local or optuna:TPESampler"
        )
    trials = read_trials(Path(config.warm_start))
    try:
        for trial in trials:
            spaces.check(space, trial.architecture)
    except InputError as error:
        raise InputError(f"warm_start: the run '{config.warm_start}' does not fit this space: {error}") from None
    return [_valued(trial, costs, maximised) for trial in trials]


def is_on_other_images(config: RunConfig, digest: str | None) -> bool:
    """Return whether the run that ``warm_start`` names has other images, or splits them otherwise, than this run.

    ``digest`` is that of this run's images; ``None`` if it trains on none.
    """
    if config.warm_start is None or digest is None or not Path(config.warm_start).is_dir():
        return False
    then = read_identity(Path(config.warm_start))
    return then is not None and then.digest != digest


def best_first(earlier: Sequence[Trial], domain: Domain, trials: int) -> list[Architecture]:
    """Return the best different networks of an earlier run that this run may train, best first.

    Args:
        earlier: the trials of the earlier run, with rewards.
        domain: the architectures that may be proposed.
        trials: number of trials that are expected.
    """
    most = max(_LEAST, min(_MOST, trials // _SHARE))
    ranked = sorted((one for one in earlier if one.reward is not None), key=lambda one: -(one.reward or 0.0))
    found: dict[object, Architecture] = {}
    for trial in ranked:
        if len(found) == most:
            break
        if domain.admits(trial.architecture):
            found.setdefault(domain.key(trial.architecture), trial.architecture)
    return list(found.values())


def gain_words(trials: Sequence[Trial], taken: Sequence[Architecture], source: str) -> str:
    """Return what the networks that were taken over have gained, in words; empty if none has been trained."""
    genes = {architecture.genes for architecture in taken}
    own = [trial for trial in trials if trial.architecture.genes in genes and trial.reward is not None]
    others = [trial for trial in trials if trial.architecture.genes not in genes and trial.reward is not None]
    if not own:
        return ""
    best = max(own, key=lambda one: one.reward or 0.0)
    told = f"Warm start: {len(own)} networks from {source}, best {best.metrics['accuracy']:.1%}"
    if not others:
        return told
    first = others[: len(own)]
    mean = statistics.fmean(one.metrics["accuracy"] for one in first)
    top = max(others, key=lambda one: one.reward or 0.0)
    own_mean = statistics.fmean(one.metrics["accuracy"] for one in own)
    return (
        f"{told}, mean {own_mean:.1%}; the first {len(first)} other networks: mean {mean:.1%}; best of all others "
        f"{top.metrics['accuracy']:.1%}"
    )


def _valued(trial: Trial, costs: KnownCosts, maximised: Reward) -> Trial:
    """Return a trial with this run's costs and reward."""
    if trial.status != "ok":
        return trial
    try:
        metrics: Mapping[str, float] = {**trial.metrics, **costs(trial.architecture)}
        return replace(trial, metrics=metrics, reward=maximised(metrics))
    except (InputError, KeyError):
        return replace(trial, status="failed", reward=None)
