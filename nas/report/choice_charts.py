"""Charts of the choices: the options of the best networks, and the effect of each option."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nas.report.chart import BLUE, WIDTH_IN, Chart, new_chart
from nas.report.choices import Option, OptionTable, number_first

_MOST_COLUMNS = 60
_SHOWN_EFFECTS = 16
_LEAST_COUNT = 3


def heat_chart(table: OptionTable) -> Chart | None:
    """Draw, for every stage and option, the share of the best networks that have it."""
    options = table.options
    columns = list(dict.fromkeys((option.field, option.value) for option in _by_field(options)))
    rows = list(dict.fromkeys(option.row for option in options))
    if not options or len(columns) > _MOST_COLUMNS:
        return None
    grid = np.full((len(rows), len(columns)), np.nan)
    for option in options:
        grid[rows.index(option.row), columns.index((option.field, option.value))] = option.best_share
    width = max(WIDTH_IN, 1.0 + 0.3 * len(columns))
    figure, axes = new_chart(1.5 + 0.24 * len(rows), width_in=width)
    axes.grid(visible=False)
    image = axes.imshow(grid, cmap="cividis_r", vmin=0, vmax=1, aspect="auto")
    for (row, column), share in np.ndenumerate(grid):
        if not np.isnan(share):
            dark = share > 0.55
            axes.text(
                column,
                row,
                f"{100 * share:.0f}",
                ha="center",
                va="center",
                fontsize=6.5,
                color="white" if dark else "black",
            )
    axes.set_xticks(range(len(columns)), [value for _, value in columns], rotation=90 if _is_long(columns) else 0)
    axes.set_yticks(range(len(rows)), rows)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    for field in dict.fromkeys(field for field, _ in columns):
        own = [place for place, (one, _) in enumerate(columns) if one == field]
        axes.text((own[0] + own[-1]) / 2, -0.75, field, ha="center", va="bottom", fontsize=7.5, fontweight="bold")
        if own[0]:
            axes.axvline(own[0] - 0.5, color="white", linewidth=3)
    bar = figure.colorbar(image, ax=axes, fraction=0.03, pad=0.02)
    bar.set_label("% of the best")
    bar.set_ticks([0, 0.5, 1], labels=["0", "50", "100"])
    caption = (
        f"The percentage of the best {table.best:,} of {table.trials:,} trials, by reward, that have each option. An "
        "empty cell means that the stage does not have the option."
    )
    return Chart(
        "choices",
        "Options of the best networks",
        caption,
        figure,
        "Heat map of stages and options; its values are in the table of all choices.",
        wide=len(columns) > 14,
    )


def effects_chart(table: OptionTable) -> Chart | None:
    """Draw the options that go with the largest differences in accuracy."""
    known = [one for one in table.options if one.count >= _LEAST_COUNT and np.isfinite(one.accuracy_error)]
    known = [one for one in known if one.share < 1]
    shown = sorted(known, key=lambda one: -abs(one.accuracy))[:_SHOWN_EFFECTS]
    if not shown:
        return None
    shown.sort(key=lambda one: one.accuracy)
    figure, axes = new_chart(1.0 + 0.2 * len(shown))
    places = np.arange(len(shown))
    values = 100 * np.array([one.accuracy for one in shown])
    axes.barh(places, values, height=0.62, color=BLUE)
    axes.errorbar(
        values,
        places,
        xerr=100 * np.array([one.accuracy_error for one in shown]),
        fmt="none",
        ecolor="black",
        elinewidth=0.8,
        capsize=2,
    )
    axes.set_yticks(places, [f"{one.decision} = {one.value}" for one in shown])
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_xlabel("points of accuracy")
    how = (
        "with all other choices equal, as far as effects add up"
        if table.additive
        else "the mean of its trials minus the mean of all trials: there are too few trials to hold other choices equal"
    )
    caption = (
        f"Difference in accuracy that goes with an option, {how}; 95% intervals. The search samples promising regions "
        "more often, so the differences are not causal effects. Costs are not taken into account."
    )
    return Chart(
        "effects",
        "Marginal effects of choices",
        caption,
        figure,
        "Bar chart of the largest effects; their values are in the table of all choices.",
    )


def _by_field(options: Sequence[Option]) -> list[Option]:
    fields = list(dict.fromkeys(option.field for option in options))
    values = sorted({option.value for option in options}, key=number_first)
    return sorted(options, key=lambda option: (fields.index(option.field), values.index(option.value)))


def _is_long(columns: Sequence[tuple[str, str]]) -> bool:
    return any(len(value) > 4 for _, value in columns)
