"""Charts of the search: accuracy and cost of its trials, and the best reward over trials and hours."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from matplotlib.ticker import PercentFormatter

from nas.core.errors import InputError
from nas.core.records import Trial
from nas.core.units import format_quantity
from nas.evaluate.cost.exact import network_cost
from nas.report.chart import BLACK, BLUE, GREEN, GREY, ORANGE, RED, Chart, key_above, new_chart
from nas.report.facts import Facts
from nas.report.random_search import RandomSearch
from nas.search_spaces.catalogue import reference_network

_REFERENCES = ("efficientnet_b0", "mobilenet_v2", "mobilenet_v3_large", "mnasnet_a1")
_ROOM = 1.35  # references are shown if their MACs are within the trials' range, widened by this factor

_FROM = 4  # the curves are inside the picture from this trial on
WORST, TAIL = 0.0, 0.02  # share of the worst trials that is not drawn, for few and for many trials
MANY = 200
_TRIALS: dict[str, Any] = {"linestyle": "none", "marker": "o", "markersize": 3, "markeredgewidth": 0, "color": GREY}
_TRIALS |= {"alpha": 0.45, "label": "trials"}


def front_chart(facts: Facts) -> Chart | None:
    """Draw accuracy over MACs: trials, Pareto front, target band, baseline, and the MACs of the papers' networks."""
    costed = [trial for trial in facts.succeeded if "macs" in trial.metrics]
    if not costed:
        return None
    floor = np.quantile([trial.metrics["accuracy"] for trial in costed], TAIL if len(costed) >= MANY else WORST)
    shown = [trial for trial in costed if trial.metrics["accuracy"] >= floor]
    figure, axes = new_chart(3.6)
    places = {trial.number: place for place, trial in enumerate(facts.trials)}
    macs = np.array([trial.metrics["macs"] for trial in shown]) / 1e6
    accuracy = np.array([trial.metrics["accuracy"] for trial in shown])
    axes.plot(macs, accuracy, **_TRIALS, gid="trials")
    front = [trial for trial in facts.front if "macs" in trial.metrics and trial.metrics["accuracy"] >= floor]
    two = _front_of_two(front)
    axes.step(
        [trial.metrics["macs"] / 1e6 for trial in two],
        [trial.metrics["accuracy"] for trial in two],
        where="post",
        color=BLUE,
        linewidth=1.4,
        label="Pareto front",
    )
    axes.scatter(
        [trial.metrics["macs"] / 1e6 for trial in front],
        [trial.metrics["accuracy"] for trial in front],
        s=12,
        color=BLUE,
        marker="s",
        gid="front",
        zorder=3,
    )
    points = {"trials": [places[trial.number] for trial in shown], "front": [places[trial.number] for trial in front]}
    if (best := facts.best) is not None and "macs" in best.metrics:
        axes.scatter(
            [best.metrics["macs"] / 1e6],
            [best.metrics["accuracy"]],
            s=110,
            marker="*",
            color=RED,
            edgecolor="white",
            linewidth=0.6,
            gid="baseline",
            zorder=4,
            label="baseline",
        )
        points["baseline"] = [places[best.number]]
    _band(axes, facts)
    beside = _references(axes, facts, float(macs.min()), float(macs.max()))
    axes.set_xlabel("multiply-adds (MACs), millions")
    axes.set_ylabel(_accuracy_words(facts))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    key_above(figure, axes)
    caption = (
        f"MACs and accuracy of every trial. {_band_words(facts)}The Pareto front of accuracy, MACs and params has "
        f"{len(facts.front)} networks; the line is the Pareto front of accuracy and MACs alone. "
        f"{beside}{_left_out(len(costed) - len(shown), floor)}"
    )
    words = (
        f"Scatter plot of {len(shown)} trials: accuracy from {accuracy.min():.1%} to {accuracy.max():.1%}, MACs from "
        f"{macs.min():.4g} to {macs.max():.4g} million. The front is listed in the table below."
    )
    return Chart("front", "Accuracy and cost", caption.strip(), figure, words, points)


def progress_chart(facts: Facts, random: RandomSearch | str) -> Chart | None:
    """Draw the best reward so far over trials, and the curve of random search for comparison."""
    if not facts.succeeded:
        return None
    figure, axes = new_chart(3.2)
    rewards = np.array([np.nan if trial.reward is None else trial.reward for trial in facts.trials])
    best = np.fmax.accumulate(rewards)
    low = float(np.nanquantile(rewards, WORST if len(rewards) < MANY else TAIL))
    starts = [best, *([random.best] if isinstance(random, RandomSearch) else [])]
    if len(rewards) >= MANY:
        low = np.nanmin([low, *(curve[min(_FROM, len(curve)) - 1] for curve in starts)])
    seen = np.flatnonzero(rewards >= low)
    axes.plot(seen + 1, rewards[seen], **_TRIALS, gid="rewards")
    axes.step(np.arange(1, len(rewards) + 1), best, where="post", color=BLUE, linewidth=1.6, label="best so far")
    if isinstance(random, RandomSearch):
        _draw_random(axes, np.arange(1, len(random.best) + 1), random)
    if len(rewards) >= MANY:
        axes.set_xscale("log")
    axes.set_ylim(low - 0.05 * (np.nanmax(rewards) - low or 1.0), None)
    axes.set_xlabel("trials")
    axes.set_ylabel("reward")
    key_above(figure, axes)
    first, last = rewards[np.flatnonzero(~np.isnan(rewards))[0]], np.nanmax(rewards)
    left = len(facts.succeeded) - len(seen)
    below = f" The {left:,} trials with less than {low:.4f} are not drawn." if left else ""
    return Chart(
        "progress",
        "Best reward over trials",
        _random_words(best, random) + below,
        figure,
        f"The best reward rises from {first:.4f} to {last:.4f} in {len(rewards)} trials.",
        {"rewards": [int(place) for place in seen]},
    )


def hours_chart(facts: Facts, random: RandomSearch | str, against: Facts | None = None) -> Chart | None:
    """Draw the best reward so far over the hours of all workers together."""
    hours = np.array(facts.hours())
    if not facts.succeeded or facts.is_predicted or hours[-1] <= 0:
        return None
    figure, axes = new_chart(2.8)
    rewards = np.array([np.nan if trial.reward is None else trial.reward for trial in facts.trials])
    scale, unit = (1.0, facts.hours_unit) if hours[-1] >= 0.5 else (60.0, facts.hours_unit.replace("hours", "minutes"))
    best = np.fmax.accumulate(rewards)
    axes.step(scale * hours, best, where="post", color=BLUE, linewidth=1.6, label="best so far")
    caption = f"{scale * hours[-1]:.3g} {unit} were spent on trials."
    if against is not None and isinstance(random, RandomSearch):
        _draw_random(axes, scale * np.array(against.hours()), random)
    elif isinstance(random, RandomSearch):
        _draw_random(
            axes, scale * hours[len(random.best) - 1] / len(random.best) * np.arange(1, len(random.best) + 1), random
        )
        caption += f" A random draw is assumed to take the mean time of the first {len(random.best)} trials."
    axes.set_xlabel(f"{unit} of all workers together")
    axes.set_ylabel("reward")
    key_above(figure, axes)
    return Chart("hours", f"Best reward over {facts.hours_unit}", caption, figure, caption)


def _draw_random(axes: Any, x: np.ndarray, random: RandomSearch) -> None:
    axes.plot(x, random.best, color=ORANGE, linestyle="--", linewidth=1.6, label=random.label)


def _random_words(best: np.ndarray, random: RandomSearch | str) -> str:
    if isinstance(random, str):
        return f"{random[0].upper()}{random[1:]}."
    if not random.independent:
        return f"The dashed line is the best reward of {random.source}; no random search was run beyond them."
    compared = min(len(best), len(random.best))
    theirs, ours = float(random.best[compared - 1]), float(best[compared - 1])
    reached = np.flatnonzero(best >= theirs)
    when = f", a reward that the search reached at trial {int(reached[0]) + 1:,}" if len(reached) else ""
    verdict = "ahead" if ours >= theirs else "behind"
    return (
        f"The dashed line shows {random.source}: {theirs:.4f} after {compared:,} trials{when}; the search is {verdict} "
        f"by {abs(ours - theirs):.4f}."
    )


def _front_of_two(front: Sequence[Trial]) -> list[Trial]:
    """Return the trials of a front that are Pareto-optimal in accuracy and MACs alone, by increasing MACs."""
    found: list[Trial] = []
    for trial in sorted(front, key=lambda one: (one.metrics["macs"], -one.metrics["accuracy"])):
        if not found or trial.metrics["accuracy"] > found[-1].metrics["accuracy"]:
            found.append(trial)
    return found


def _left_out(count: int, floor: float) -> str:
    return f"The {count} worst trials, below {floor:.1%}, are not drawn." if count else ""


def _accuracy_words(facts: Facts) -> str:
    return "predicted accuracy" if facts.config.evaluator_kind.is_predicted else "validation accuracy"


def _band(axes: Any, facts: Facts) -> None:
    objective = facts.config.objective
    if objective.target_flops is None:
        return
    target = objective.target_flops / 1e6
    if objective.tolerance is None:
        axes.axvline(target, color=GREEN, linewidth=1.2, linestyle="--", label="target")
    else:
        low = (1 - objective.tolerance) * target
        axes.axvspan(low, target, color=GREEN, alpha=0.12, linewidth=0, label="target band")


def _band_words(facts: Facts) -> str:
    objective = facts.config.objective
    if objective.target_flops is None:
        return ""
    target = format_quantity(objective.target_flops)
    if objective.tolerance is None:
        return f"The dashed line is the target of {target} MACs. "
    low = format_quantity((1 - objective.tolerance) * objective.target_flops)
    return f"Only networks in the shaded band, {low} to {target} MACs, were evaluated. "


def _reference_costs(facts: Facts) -> dict[str, float]:
    """Return the MACs of the papers' networks at the run's own resolution and classes, where they are known."""
    found: dict[str, float] = {}
    if facts.decoded is None:
        return found
    for name in _REFERENCES:
        with suppress(InputError):  # the resolution is too small for the network's strides
            network = reference_network(name).at(resolution=facts.decoded.resolution, classes=facts.decoded.classes)
            found[name] = float(network_cost(network).macs)
    return found


def _references(axes: Any, facts: Facts, low: float, high: float) -> str:
    """Draw a line at the MACs of the papers' networks near the trials; return the caption's sentences about them."""
    costs = {name: macs / 1e6 for name, macs in _reference_costs(facts).items()}
    if not costs or facts.decoded is None:
        return ""
    near = {name: macs for name, macs in costs.items() if low / _ROOM <= macs <= high * _ROOM}
    for name, macs in near.items():
        axes.axvline(macs, color=BLACK, linewidth=0.8, linestyle=":")
        axes.annotate(
            name, (macs, 0.02), xycoords=("data", "axes fraction"), rotation=90, fontsize=6.5, ha="right", va="bottom"
        )
    diamond, prediction = "", None if facts.result is None else facts.result.predicted
    if "efficientnet_b0" in near and prediction is not None:
        place = [near["efficientnet_b0"]], [prediction.efficientnet_b0.picked_by]
        axes.scatter(*place, marker="D", s=26, color=BLACK, zorder=4, label="B0")
        diamond = "The diamond is EfficientNet-B0, with the accuracy predicted by the fit that the search used. "
    where = f"at {facts.decoded.resolution} px and {facts.decoded.classes} classes"
    far = ", ".join(f"{name} {format_quantity(1e6 * macs)}" for name, macs in costs.items() if name not in near)
    dotted = f"The dotted lines are the MACs of the papers' networks {where}. " if near else ""
    return dotted + diamond + (f"Outside the picture{'' if near else ', ' + where}: {far}. " if far else "")
