"""The report's sections on choices, trust and failures."""

from __future__ import annotations

import math
import re
import shlex
import statistics
from collections import defaultdict
from collections.abc import Sequence

from nas.core.program import program
from nas.core.records import Trial
from nas.core.units import format_quantity
from nas.report.chart import Chart
from nas.report.choice_charts import effects_chart, heat_chart
from nas.report.choices import option_table
from nas.report.facts import Facts
from nas.report.layout import PageSection, Table
from nas.report.more_charts import trust_chart
from nas.search.result import CandidateResult

_CHOICE_ROWS = 120


def choices_section(facts: Facts) -> PageSection | None:
    """Return the section on the options of the best trials and the effect of each option."""
    table = option_table(facts.succeeded)
    if table is None or facts.scaling:
        return None
    options = table.options
    charts = [chart for chart in (heat_chart(table), effects_chart(table)) if chart is not None]
    columns = ("option", "trials", "of all", "of the best", "accuracy, points", "±", "MACs")
    shown = sorted(options, key=lambda one: -one.count)[:_CHOICE_ROWS] if len(options) > _CHOICE_ROWS else options
    rows = [
        (
            f"{one.decision} = {one.value}",
            f"{one.count:,}",
            f"{one.share:.0%}",
            f"{one.best_share:.0%}",
            f"{100 * one.accuracy:+.2f}",
            "" if math.isnan(one.accuracy_error) else f"{100 * one.accuracy_error:.2f}",
            "" if math.isnan(one.macs) else f"{'−' if one.macs < 0 else '+'}{format_quantity(abs(one.macs))}",
        )
        for one in shown
    ]
    listed = Table("All choices", columns, rows, columns[1:], folded=True)
    return PageSection("choices", "Which choices matter", charts=tuple(charts), tables=(listed,))


def trust_section(facts: Facts) -> PageSection | None:
    """Return the section on how reliable the accuracies are; ``None`` if nothing is known about it."""
    text, charts, tables = list[str](), list[Chart](), list[Table]()
    predicted = None if facts.result is None else facts.result.predicted
    if predicted is not None:
        low, high = (100 * value for value in predicted.gain_interval)
        text.append(
            f"Gain over EfficientNet-B0: {100 * predicted.gain:+.2f} points, 95% interval {low:+.2f} to {high:+.2f} "
            "for one training of each. For the found network, the fit that the search used predicts "
            f"{100 * predicted.found.optimism:.2f} points more than a fit that the search did not use, which was made "
            "from other trainings. The accuracy at the top of this page and the comparison with EfficientNet-B0 are "
            "predictions of the fit that the search did not use; the charts and the Pareto front show predictions of "
            "the fit that the search used."
        )
    if facts.trust is not None:
        chart = trust_chart(facts.trust, facts.trust_trainings())
        charts += [chart] if chart else []
        smallest = facts.trust.get("smallest_difference")
        if not facts.trust.get("differ", True):
            text.append(
                "The networks that were trained to measure trust did not differ in accuracy, so they do not show "
                "whether the proxy can be trusted."
            )
        elif smallest:
            text.append(
                f"A difference of less than {100 * smallest:.2f} points between two trials is not significant: chance "
                "alone causes a larger one in one of twenty cases."
            )
    confirmed = None if facts.result is None else facts.result.confirmed
    if confirmed is not None:
        tables.append(_confirmations(confirmed.candidates))
        if len(confirmed.candidates) > 1:
            text.append(_winner(confirmed.tied))
    if not text and not charts and _trains_proxies(facts) and facts.succeeded:
        command = f"{program()} trust {shlex.quote(str(facts.path))}"
        text.append(f"How far this proxy can be trusted has not been measured yet. To measure it: {command}")
    if not (text or charts or tables):
        return None
    return PageSection("trust", "How far to trust these figures", tuple(text), tuple(charts), tuple(tables))


def _trains_proxies(facts: Facts) -> bool:
    return facts.config.proxy is not None and not facts.scaling


def _confirmations(candidates: Sequence[CandidateResult]) -> Table:
    rows = [
        (
            str(one.number),
            "for comparison" if one.control else "one of the best",
            f"{statistics.fmean(one.accuracies):.2%}",
            ", ".join(f"{value:.2%}" for value in one.accuracies),
        )
        for one in candidates
    ]
    columns = ("trial", "chosen as", "mean", "trainings")
    return Table("Trained again, longer and from other seeds", columns, rows, ("mean",))


def _winner(tied: Sequence[int]) -> str:
    if not tied:
        return "The winner is significantly better than all other trials that were trained again."
    trials = f"trial{'' if len(tied) == 1 else 's'} {', '.join(map(str, tied))}"
    return f"The winner is not significantly better than {trials}."


def failures_section(facts: Facts) -> PageSection | None:
    """Return the section on failed trials, grouped by reason; ``None`` if no trial failed or was pruned."""
    groups = defaultdict[str, list[Trial]](list)
    for trial in facts.trials:
        if trial.status == "failed":
            groups[_reason(trial.error or "no reason is known")].append(trial)
    pruned = sum(trial.status == "pruned" for trial in facts.trials)
    if not groups and not pruned:
        return None
    ended = f"{pruned:,} trial{' was' if pruned == 1 else 's were'} pruned by successive halving; this is no failure."
    rows = [
        (
            reason,
            f"{len(trials):,}",
            ", ".join(str(trial.number) for trial in trials[:6]) + (", ..." if len(trials) > 6 else ""),
        )
        for reason, trials in sorted(groups.items(), key=lambda item: -len(item[1]))
    ]
    table = Table("Failures by reason", ("reason", "trials", "which"), rows, ("trials",))
    return PageSection("failures", "What failed", (ended,) if pruned else (), tables=(table,) if rows else ())


def _reason(error: str) -> str:
    """Return an error text with each number replaced by ``N``, so that the same error is equal in all trials."""
    return re.sub(r"\d+(\.\d+)?", "N", error)[:300]
