"""The report's section on the control: the baseline beside stock networks of the same budget."""

from __future__ import annotations

import shlex
import statistics

from nas.core.program import program
from nas.core.units import count_words, format_quantity
from nas.report.facts import Facts
from nas.report.layout import PageSection, Table
from nas.search.baseline import CONTROL_NETWORK
from nas.search.result import ControlNetwork, ControlResult


def control_section(facts: Facts) -> PageSection | None:
    """Return the section on the control; ``None`` if the search trained none."""
    control = None if facts.result is None else facts.result.control
    if control is None:
        return None
    text = [f"{_sentence(control)} {_how(control)}"]
    if control.default_verdict:
        text.append(f"It is {control.default_verdict}, which is what the search itself has gained.")
    if not control.is_better:
        path = shlex.quote(str(facts.path / CONTROL_NETWORK))
        source = shlex.quote(facts.config.data.source)
        text.append(f"To train the stock network instead: {program()} train {path} --data {source}")
    return PageSection("control", "Is it worth it?", tuple(text), tables=(_table(control),))


def _sentence(control: ControlResult) -> str:
    return f"The network of this search is {control.verdict}."


def _how(control: ControlResult) -> str:
    epochs = "" if control.epochs is None else f" of {control.epochs} epochs"
    metric = control.metric.replace("_", " ").capitalize()
    times = count_words(control.trainings, "training")
    return (
        f"{metric} {control.baseline_test:.2%} against {control.best_test:.2%} on the {control.test_images:,} test "
        f"images: means of {times}{epochs} with the same seeds. ± is the 95% interval of the "
        "difference; it covers the choice of the test images and the seeds of the trainings. Stock networks are scaled "
        "to the same budget and trained with the same settings; the best of them was chosen on the validation images."
    )


def _table(control: ControlResult) -> Table:
    columns = ("network", "validation accuracy", "confirming trainings", "MACs", "params")
    rows = [_row(one) for one in sorted(control.networks, key=lambda one: -(one.accuracy or 0.0))]
    rows += [(name, "not trained: no time was left", "", "", "") for name in control.no_time]
    rows += [(name, f"not trained: {reason}", "", "", "") for name, reason in control.refused.items()]
    return Table("Stock networks scaled to this budget", columns, rows, columns[1:])


def _row(one: ControlNetwork) -> tuple[str, ...]:
    accuracy = f"failed: {one.error}" if one.accuracy is None else f"{one.accuracy:.2%}"
    confirmed = f"{statistics.fmean(one.confirmed):.2%} ({len(one.confirmed)})" if one.confirmed else ""
    costs = ("" if cost is None else format_quantity(cost) for cost in (one.macs, one.params))
    return (one.words, accuracy, confirmed, *costs)
