"""A chart of the report: a figure, its description in words, and the trials behind its marks."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from nas.core.figures import COLOURS

BLUE, ORANGE, GREEN, RED, PINK, SKY, BLACK = COLOURS
GREY = "#767676"  # contrast of 4.5 to 1 on white
_ENLARGED = 1.55  # largest magnification of a chart, on a wide screen
WIDTH_IN = 4.7  # about a phone's width, so that the text is not shrunk there
_STYLE: dict[Any, Any] = {
    "svg.hashsalt": "mnas",
    "svg.fonttype": "none",
    "text.parse_math": False,  # names may contain dollar signs
    "font.family": ["DejaVu Sans", "sans-serif"],
    "font.size": 8.5,
    "axes.titlesize": 9,
    "legend.fontsize": 8,
    "hatch.linewidth": 0.7,
}
_REFERENCE = re.compile(r'(\bid="|href="#|url\(#)')


@dataclass(frozen=True)
class Chart:
    """One chart.

    Attributes:
        name: name of its files, in lower case, such as ``front``.
        title: heading above the figure.
        caption: text below the figure: how to read it, and what it shows.
        figure: the matplotlib figure.
        alternative: description of the figure for readers who cannot see it.
        points: indices of the trials behind the marks that have tooltips: one list for each group of marks, by its id.
        wide: whether the chart may need the page's whole width.
    """

    name: str
    title: str
    caption: str
    figure: Any
    alternative: str
    points: Mapping[str, Sequence[int]] = field(default_factory=dict)
    wide: bool = False

    def svg(self) -> str:
        """Return the chart as an SVG element; its ids begin with the chart's name, so they are unique on a page."""
        buffer = io.StringIO()
        self.figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
        text = buffer.getvalue()
        text = text[text.index("<svg") :]
        text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
        text = re.sub(r"<!--.*?-->\n?", "", text, flags=re.DOTALL)
        text = re.sub(r"\n *", "\n", text)
        text = _REFERENCE.sub(rf"\g<1>{self.name}-", text)
        label = self.alternative.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
        widest_px = round(_ENLARGED * 72 * self.figure.get_figwidth())
        attributes = f'role="img" aria-label="{label}" style="max-width: {widest_px}px"'
        return text.replace("<svg ", f"<svg {attributes} ", 1)


@contextmanager
def report_style() -> Iterator[None]:
    """Apply the report's fonts and line widths; needed where figures are made and where they are written."""
    from nas.core.figures import own_style

    with own_style():
        from matplotlib import rcParams

        rcParams.update(_STYLE)
        yield


def key_above(figure: Any, axes: Any) -> None:
    """Put the legend of a chart above it, where it hides no data."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        loc="outside upper left",
        ncols=3 if len(labels) > 4 else len(labels),
        frameon=False,
    )


def new_chart(height_in: float, width_in: float = WIDTH_IN, rows: int = 1, columns: int = 1) -> tuple[Any, Any]:
    """Return a figure and its axes in the report's style; ``height_in`` and ``width_in`` in inches."""
    from nas.core.figures import new_figure

    figure, axes = new_figure(rows, columns, (width_in, height_in))
    for one in axes.flat if hasattr(axes, "flat") else (axes,):
        one.grid(visible=True, color="#e3e3e3", linewidth=0.6)
        one.set_axisbelow(True)
    return figure, axes
