"""The options of the best networks, and the accuracy and MACs that go with each option."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas.core.records import Trial

BEST_SHARE, LEAST_BEST = 0.1, 5
NORMAL, MANY = 1.96, 300
_RIDGE = 1e-5  # times the number of trials; makes the least squares solvable and hardly changes the effects
_MOST_TRIALS = 20_000  # only the newest trials are used


@dataclass(frozen=True, slots=True)
class Option:
    """One option of one decision, among the trials that succeeded.

    Attributes:
        decision: name of the decision, such as ``stage3.kernel``.
        value: the option as text.
        count: number of trials with the option.
        share: fraction of all trials with the option.
        best_share: fraction of the best trials with the option.
        accuracy: difference in accuracy that goes with the option (a fraction), all other choices being equal.
        accuracy_error: half of its 95% interval; NaN if it cannot be estimated.
        macs: mean MACs of the trials with the option minus the mean of all trials; NaN if MACs are not known.
    """

    decision: str
    value: str
    count: int
    share: float
    best_share: float
    accuracy: float
    accuracy_error: float
    macs: float

    @property
    def row(self) -> str:
        """The part of the network that the decision belongs to, such as ``stage3``."""
        return self.decision.rpartition(".")[0] or self.decision

    @property
    def field(self) -> str:
        """The field that is decided, such as ``kernel``; empty if the decision belongs to no part."""
        return self.decision.rpartition(".")[2] if "." in self.decision else ""


@dataclass(frozen=True, slots=True)
class OptionTable:
    """The statistics of all options.

    Attributes:
        options: the options, sorted by decision and value.
        trials: number of trials behind the statistics.
        best: number of trials that count as the best.
        additive: whether the effects come from an additive model; otherwise they are differences of means.
    """

    options: tuple[Option, ...]
    trials: int
    best: int
    additive: bool


def best_trials(trials: Sequence[Trial]) -> list[Trial]:
    """Return the best tenth of the trials by reward, at least five."""
    ranked = sorted(trials, key=lambda trial: (-(trial.reward or 0.0), trial.number))
    return ranked[: max(LEAST_BEST, round(BEST_SHARE * len(ranked)))]


def option_table(trials: Sequence[Trial]) -> OptionTable | None:
    """Return the statistics of every option of the trials with a reward; ``None`` for fewer than two such trials.

    Accuracies are modelled as a sum over decisions, by least squares with a small ridge penalty. An option's effect
    therefore holds all other choices equal, as far as effects add up. With fewer trials than twice the number of
    options, the effect is the mean of the trials with the option minus the mean of all trials.
    """
    known = [trial for trial in trials if trial.reward is not None and trial.choices][-_MOST_TRIALS:]
    if len(known) < 2:
        return None
    best = {trial.number for trial in best_trials(known)}
    is_best = np.array([trial.number in best for trial in known])
    accuracy = np.array([trial.metrics["accuracy"] for trial in known])
    macs = np.array([trial.metrics.get("macs", np.nan) for trial in known], dtype=float)
    names, columns = [], []
    for decision in dict.fromkeys(name for trial in known for name in trial.choices):
        values = [str(trial.choices[decision]) if decision in trial.choices else None for trial in known]
        for value in sorted({one for one in values if one is not None}, key=number_first):
            names.append((decision, value))
            columns.append([own == value for own in values])
    has = np.array(columns, dtype=float).T  # (trials, options)
    additive = len(known) >= 2 * has.shape[1]
    effects, errors = (_additive if additive else _marginal)(has, [decision for decision, _ in names], accuracy)
    counts = has.sum(axis=0)
    options = tuple(
        Option(
            decision=decision,
            value=value,
            count=int(counts[place]),
            share=float(counts[place] / len(known)),
            best_share=float(has[is_best, place].mean()),
            accuracy=float(effects[place]),
            accuracy_error=float(errors[place]),
            macs=float(macs[has[:, place] > 0].mean() - macs.mean()),
        )
        for place, (decision, value) in enumerate(names)
    )
    return OptionTable(options, len(known), len(best), additive)


def number_first(value: str) -> tuple[bool, float, str]:
    """Return a sort key that puts numbers first, by value, and all other texts behind them."""
    try:
        return False, float(value), value
    except ValueError:
        return True, 0.0, value


def _additive(
    has: NDArray[np.float64], decisions: Sequence[str], accuracy: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return effects and half 95% intervals ``(options,)``; a decision's effects average to zero over the trials."""
    share = has.mean(axis=0)
    centred = has - share
    gram = centred.T @ centred + _RIDGE * len(has) * np.eye(has.shape[1])
    inverse = np.linalg.inv(gram)
    effects = inverse @ centred.T @ (accuracy - accuracy.mean())
    residual = accuracy - accuracy.mean() - centred @ effects
    freedom = max(1, len(has) - (has.shape[1] - len(set(decisions))) - 1)
    contrasts = np.eye(has.shape[1])
    for decision in dict.fromkeys(decisions):
        own = np.array([one == decision for one in decisions])
        effects[own] -= float(share[own] @ effects[own]) / float(share[own].sum())
        contrasts[np.ix_(own, own)] -= share[own] / share[own].sum()
    spread = np.einsum("ij,jk,ik->i", contrasts, inverse, contrasts)
    return effects, _half_interval(float(residual @ residual), freedom, spread)


def _marginal(
    has: NDArray[np.float64], decisions: Sequence[str], accuracy: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return differences of means and half 95% intervals ``(options,)``, from the variance within options."""
    effects, errors = np.zeros(has.shape[1]), np.full(has.shape[1], np.nan)
    for decision in dict.fromkeys(decisions):
        places = [place for place, one in enumerate(decisions) if one == decision]
        groups = [accuracy[has[:, place] > 0] for place in places]
        own = np.concatenate(groups)
        counts = np.array([len(group) for group in groups], dtype=float)
        effects[places] = [group.mean() - own.mean() for group in groups]
        freedom = len(own) - len(groups)
        if freedom > 0:
            within = float(sum(((group - group.mean()) ** 2).sum() for group in groups))
            errors[places] = _half_interval(within, freedom, (1 - counts / len(own)) / counts)
    return effects, errors


def _half_interval(squares: float, freedom: int, spread: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return half of each 95% interval, by Student's t; NaN where the trials do not differ at all."""
    if not squares > 0:
        return np.full(len(spread), np.nan)
    return np.asarray(_quantile(freedom) * np.sqrt(squares / freedom * np.maximum(spread, 0.0)))


def _quantile(freedom: int) -> float:
    """Return the 97.5% quantile of Student's t; for many degrees of freedom the normal one, without importing scipy."""
    if freedom >= MANY:
        return NORMAL
    from scipy.stats import t

    return float(t.ppf(0.975, freedom))
