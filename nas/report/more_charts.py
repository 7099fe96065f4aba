"""Pictures of what follows a search: trust in the proxy, and the family."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.ticker import FuncFormatter, PercentFormatter

from nas.core.units import format_quantity
from nas.report.chart import BLUE, GREY, Chart, new_chart


def trust_chart(trust: Mapping[str, Any], trainings: Sequence[Mapping[str, Any]]) -> Chart | None:
    """Draw the proxy's accuracy of each network against that of longer training."""
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
        f"{trust['networks']} networks trained both ways. Kendall's tau {trust['tau']:.2f} (95% interval "
        f"{trust['tau_low']:.2f} to {trust['tau_high']:.2f}): 1 is the same ranking, 0 none."
    )
    if trust.get("std"):
        caption += " Bars are ± one standard deviation from seed to seed."
    return Chart("trust", "Does the proxy rank as longer training does?", caption, figure, caption)


def family_chart(rows: Sequence[Mapping[str, Any]]) -> Chart | None:
    """Draw what the members of a family cost."""
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
    axes.set_xlabel("multiply-adds (MACs), by powers of ten")
    return Chart(
        "family",
        "The family after scaling",
        "Exact MACs of the baseline's compound scaling.",
        figure,
        "Bar chart of the table of the family.",
    )
