"""The result of the rediscovery study as a page of Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from nas.core.units import format_quantity
from nas.studies.rediscovery import BEST, Effect, Form

_RECURS = 0.5  # a choice recurs where at least half of the best, or of the seeds, have it


def page(forms: Sequence[Form], effects: Sequence[Effect], target: float) -> str:
    """Return the page."""
    parts = [
        f"# Does a search at T = {format_quantity(target)} find EfficientNet-B0 again?",
        _method(forms),
        "## In short\n\n" + "\n".join(_findings(forms, effects)),
        "## The searches\n\n" + _searches(forms),
        "## B0's 21 choices\n\n" + _choices(forms),
        "## What each choice did to networks that were really trained\n\n" + _effects(effects),
    ]
    return "\n\n".join(parts) + "\n"


def _method(forms: Sequence[Form]) -> str:
    return (
        "Evidence: ImageNet accuracies predicted from some 4,000 networks that Accel-NASBench trained for 16 epochs "
        "with ReLU; not the papers' 5-epoch proxy, not full training. The searches use a fit to one half of these "
        "trainings; the accuracies and gains below are from a fit to the other half. Shares and ranks are from a fit "
        "to all trainings, over "
        f"{forms[0].sample:,} architectures drawn uniformly from those that the search may propose."
    )


def _findings(forms: Sequence[Form], effects: Sequence[Effect]) -> list[str]:
    lines = []
    for form in forms:
        best = sum(choice.best >= _RECURS for choice in form.choices)
        found = sum(choice.found >= _RECURS for choice in form.choices)
        random = sum(choice.common for choice in form.choices)
        gains = _spread([100 * gain for gain in form.gains])
        lines.append(
            f"- **{form.name}, SE {form.se}**: {best} of B0's 21 choices each occur in at least half of the best "
            f"{BEST:.0%}, and {found} each in at least half of the networks found (a random architecture has "
            f"{random:.1f} of them on average); B0 is better than {form.b0_better_than:.3%} of the architectures that "
            f"may be proposed (rank {form.b0_rank:,} of {form.sample:,}); the gain of the networks found over B0 is "
            f"{gains} points, by the fit that the searches did not use."
        )
    clear = [effect for effect in effects if effect.low > 0 or effect.high < 0]
    better = [effect for effect in clear if effect.points > 0]
    costly = [effect for effect in clear if effect.points < 0]
    lines.append(
        f"- Of the 21 choices, {len(better)} raised the accuracy of trained networks against the mean of their "
        f"alternatives, {len(costly)} lowered it ({sum(effect.macs < 0 for effect in costly)} of "
        f"which save MACs), and {21 - len(clear)} made no clear "
        "difference."
    )
    return lines


def _searches(forms: Sequence[Form]) -> str:
    rows = [
        "| form | SE | MACs found | accuracy found | gain over B0, points | of B0's 21 choices | B0's rank |",
        "|" + "---|" * 7,
    ]
    for form in forms:
        macs = f"{format_quantity(min(form.macs))} to {format_quantity(max(form.macs))}"
        accuracy = f"{_spread([100 * value for value in form.accuracies])} %"
        gains, matches = _spread([100 * gain for gain in form.gains]), ", ".join(map(str, form.matches))
        place = f"{form.b0_rank:,} of {form.sample:,}"
        rows.append(f"| {form.name} | {form.se} | {macs} | {accuracy} | {gains} | {matches} | {place} |")
    return "\n".join(rows) + (
        "\n\nMean ± standard deviation over the seeds; one number for each seed in the sixth column."
    )


def _choices(forms: Sequence[Form]) -> str:
    head = " | ".join(f"{form.name}, SE {form.se}" for form in forms)
    rows = [f"| B0's choice | {head} |", "|" + "---|" * (len(forms) + 1)]
    for index, choice in enumerate(forms[0].choices):
        cells = [form.choices[index] for form in forms]
        shown = (f"{cell.common:.0%} → {cell.best:.0%}, found {cell.found:.0%}" for cell in cells)
        rows.append(f"| {choice.name} | {' | '.join(shown)} |")
    return (
        "\n".join(rows) + "\n\nShare of the architectures that may be proposed → "
        f"share of the best {BEST:.0%}; found: share of the networks found."
    )


def _effects(effects: Sequence[Effect]) -> str:
    rows = ["| B0's choice | points of top-1 | 95% interval | MACs |", "|---|---|---|---|"]
    for effect in sorted(effects, key=lambda effect: -abs(effect.points)):
        sign = "−" if effect.macs < 0 else "+"
        rows.append(
            f"| {effect.name} | {effect.points:+.2f} | {effect.low:+.2f} to {effect.high:+.2f} | "
            f"{sign}{format_quantity(round(abs(effect.macs)))} |"
        )
    return "\n".join(rows) + (
        "\n\nDifference from the mean of the choice's alternatives, with all other choices equal: least squares over "
        "the trained networks, with heteroscedasticity-robust standard errors."
    )


def _spread(values: Sequence[float]) -> str:
    std = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.fmean(values):.2f} ± {std:.2f}"
