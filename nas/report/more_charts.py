"""Charts of the analyses after a search: the proxy against longer training, and the scaled family."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.ticker import FuncFormatter, PercentFormatter

from nas.core.units import format_quantity
from nas.report.chart import BLUE, GREY, Chart, new_chart


def trust_chart(trust: Mapping[str, Any], trainings: Sequence[Mapping[str, Any]]) -> Chart | None:
    """Draw each network's accuracy after longer training against its accuracy by the proxy."""
    found: dict[tuple[int, ...], dict[str, list[float]]] = {}
    for row in trainings:
        found.setdefault(tuple(row["genes"]), {}).setdefault(row["kind"], []).append(row["accuracy"])
    pairs = [
        (statistics.fmean(one["proxy"]), statistics.fmean(one["longer"])) for one in found.values() if len(one) == 2
    ]
    if len(pairs) < 3:
        return None
    figure, axes = new_chart(3.0)
    axes.scatter([proxy for proxy, _ in pairs], [longer for _, longer in pairs], s=22, color=BLUE)
    if trust.get("std"):
        axes.errorbar(
            [proxy for proxy, _ in pairs],
            [longer for _, longer in pairs],
            xerr=trust["std"],
            fmt="none",
            ecolor=GREY,
            elinewidth=0.7,
        )
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0))
    axes.set_xlabel("accuracy by the proxy")
    axes.set_ylabel("after longer training")
    caption = (
        f"{trust['networks']} networks, trained by the proxy and by a longer schedule. Kendall's tau "
        f"{trust['tau']:.2f} (95% interval {trust['tau_low']:.2f} to {trust['tau_high']:.2f}): 1 means the same "
        "ranking, 0 no relation."
    )
    if trust.get("std"):
        caption += " The error bars are ± one standard deviation between seeds."
    return Chart("trust", "Does the proxy rank networks as longer training does?", caption, figure, caption)


def family_chart(rows: Sequence[Mapping[str, Any]]) -> Chart | None:
    """Draw the MACs of a family's members."""
    if not rows:
        return None
    figure, axes = new_chart(0.9 + 0.24 * len(rows))
    places = range(len(rows))
    axes.barh(places, [row["macs"] for row in rows], height=0.6, color=BLUE)
    axes.set_xscale("log")
    axes.set_yticks(places, [f"φ = {row['phi']:g}, {row['resolution']} px" for row in rows])
    axes.invert_yaxis()
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: format_quantity(value) if value > 0 else "0"))
    axes.xaxis.set_minor_formatter(lambda *_: "")
    axes.set_xlabel("multiply-adds (MACs), logarithmic scale")
    return Chart(
        "family",
        "The family after scaling",
        "Exact MACs of the baseline's compound scaling.",
        figure,
        "Bar chart of the family's MACs; the values are in the table of members.",
    )
