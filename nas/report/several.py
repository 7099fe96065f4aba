"""One page for several runs: a table of them, and how far each had come after how much work."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

from matplotlib.ticker import PercentFormatter

from nas.core.errors import InputError
from nas.core.version import package_version
from nas.report.chart import Chart, key_above, new_chart, report_style
from nas.report.facts import Facts
from nas.report.layout import Page, PageSection, Table
from nas.report.page import write_page
from nas.search.overview import FIELDS, NUMBERS, RunSummary, differences

_MOST = 12  # runs on one page


def write_several(paths: Sequence[Path], target: Path) -> list[Path]:
    """Write one page for several runs; return the files.

    Args:
        paths: the run directories.
        target: path of the page.

    Raises:
        InputError: if one is not a run directory, has no finished trial, or there are more than 12.
        WorkError: if the page cannot be written.
    """
    if len(paths) > _MOST:
        raise InputError(f"report: expected at most {_MOST} runs on one page, got {len(paths)}")
    runs = [(RunSummary.read(path), Facts.read(path)) for path in paths]
    with report_style():
        page = Page(
            title=f"{len(runs)} runs",
            kind="Neural architecture searches side by side",
            lead=_lead([summary for summary, _ in runs]),
            sections=(_overview(runs), *_what_differs([summary for summary, _ in runs])),
            footer=f"Written by nas {package_version()}. MACs are multiply-adds, which the papers call FLOPS.",
        )
        return write_page(page, [], target)


def _lead(summaries: Sequence[RunSummary]) -> str:
    known = [one for one in summaries if one.accuracy is not None]
    if not known:
        return "No run has a result yet."
    best = max(known, key=lambda one: one.accuracy or 0.0)
    others = [one for one in known if one is not best and differences(best, one)]
    told = f"The highest accuracy is {best.accuracy:.2%}, of {best.name}."
    if others:
        told += f" It does not compare with {', '.join(one.name for one in others)}; the reasons are below."
    return told


def _overview(runs: Sequence[tuple[RunSummary, Facts]]) -> PageSection:
    rows = [(summary.name, *summary.cells()) for summary, _ in runs]
    table = Table("All runs", ("run", *FIELDS), rows, NUMBERS)
    return PageSection("runs", "The runs", charts=(_progress(runs),), tables=(table,))


def _progress(runs: Sequence[tuple[RunSummary, Facts]]) -> Chart:
    figure, axes = new_chart(3.2, 6.6)
    for summary, facts in runs:
        best, hours, accuracies = -1.0, [], []
        for hour, trial in zip(facts.hours(), facts.trials, strict=True):
            if trial.reward is not None and trial.metrics["accuracy"] > best:
                best = trial.metrics["accuracy"]
            if best >= 0:
                hours.append(60 * hour)
                accuracies.append(best)
        axes.step(hours, accuracies, where="post", label=summary.name)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_xlabel("minutes of all trials together")
    axes.set_ylabel("best accuracy so far")
    key_above(figure, axes)
    caption = "The best accuracy in the search against the time that all trials took together."
    return Chart("progress", "How far each had come", caption, figure, caption, wide=True)


def _what_differs(summaries: Sequence[RunSummary]) -> list[PageSection]:
    told = [
        f"{one.name} and {other.name}: {'; '.join(reasons)}"
        for one, other in combinations(summaries, 2)
        if (reasons := differences(one, other))
    ]
    return [PageSection("differs", "What does not compare", tuple(told))] if told else []
