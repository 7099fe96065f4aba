"""The report's section on the supernet whose weights scored the networks."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nas.core.documents import read_mapping
from nas.core.files import expanded
from nas.core.units import format_duration, format_quantity
from nas.report.chart import BLUE, GREY, ORANGE, Chart, key_above, new_chart
from nas.report.facts import Facts
from nas.report.layout import PageSection, Table
from nas.studies.proxy_ranking import read_trust

_COLOURS = {"largest": BLUE, "random": GREY, "smallest": ORANGE}


def supernet_section(facts: Facts) -> PageSection | None:
    """Return the section on the supernet; ``None`` if the run has none, or its folder is not there any more."""
    reference = facts.config.evaluator_options.get("supernet") if facts.config.has_supernet else None
    folder = None if reference is None else expanded(str(reference))
    if folder is None or not folder.is_dir():
        return None
    result, history = read_mapping(folder / "result.json"), _history(folder)
    chart = _curves(history)
    tables = [_networks(result["networks"])] if isinstance(result.get("networks"), dict) else []
    return PageSection(
        "supernet",
        "The supernet",
        (_words(result, history), _trust_words(folder)),
        charts=() if chart is None else (chart,),
        tables=tuple(tables),
    )


def _words(result: Mapping[str, Any], history: Sequence[Mapping[str, float]]) -> str:
    if not history:
        return "All networks were scored with the weights of one supernet."
    shared = "" if "shared_params" not in result else f" with {format_quantity(result['shared_params'])} shared params"
    trained = f"trained for {len(history)} epochs in {format_duration(history[-1]['seconds'])}"
    return f"All networks were scored with the weights of one supernet{shared}, which was {trained}."


def _trust_words(folder: Path) -> str:
    """Return how far the ranking by the supernet's weights can be trusted, in words."""
    report = read_trust(folder)
    own = None if report is None else report.get("supernet")
    if report is None or not isinstance(own, dict):
        return (
            "Whether its weights rank networks as training them alone does has not been measured; nas trust --supernet "
            "measures it."
        )
    inherited, short = (f"{one['tau']:.2f} ({one['tau_low']:.2f} to {one['tau_high']:.2f})" for one in (own, report))
    return (
        f"Kendall's tau of its ranking with trainings of {report['longer_epochs']} epochs, with its 95% interval, is "
        f"{inherited}; that of trainings of {report['epochs']} epochs is {short}."
    )


def _curves(history: Sequence[Mapping[str, float]]) -> Chart | None:
    if not history or "largest_top1" not in history[0]:
        return None
    figure, axes = new_chart(2.6, 6.6)
    epochs = [row["epoch"] for row in history]
    for name, colour in _COLOURS.items():
        axes.plot(epochs, [100 * row[f"{name}_top1"] for row in history], color=colour, label=f"{name} network")
    axes.set_xlabel("epoch of the supernet")
    axes.set_ylabel("validation accuracy, %")
    key_above(figure, axes)
    caption = "Validation accuracy of three networks of the supernet after every epoch of its training."
    return Chart("supernet", "The training of the supernet", caption, figure, caption, wide=True)


def _networks(networks: Mapping[str, Any]) -> Table:
    columns = ("network", "MACs", "params", "validation", "test")
    rows = [
        (
            name,
            f"{one['macs']:,.0f}",
            f"{one['params']:,.0f}",
            f"{one['validation']['top1']:.2%}",
            f"{one['test']['top1']:.2%}",
        )
        for name, one in networks.items()
    ]
    return Table("Networks of the supernet", columns, rows, columns[1:])


def _history(folder: Path) -> list[dict[str, float]]:
    try:
        text = (folder / "history.csv").read_text(encoding="utf-8")
    except OSError:
        return []
    return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(io.StringIO(text))]
