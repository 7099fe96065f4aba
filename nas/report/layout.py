"""The parts that a report's page is laid out from, as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from nas.report.chart import Chart


@dataclass(frozen=True)
class Table:
    """A table with a heading a column; ``right`` are the columns of numbers; ``folded`` ones open on demand."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[str]]
    right: tuple[str, ...] = ()
    folded: bool = False


@dataclass(frozen=True)
class Text:
    """A text that people copy, folded away unless it is ``open``."""

    title: str
    text: str
    open: bool = False


@dataclass(frozen=True)
class PageSection:
    """A part of the page."""

    id: str
    title: str
    text: tuple[str, ...] = ()
    charts: tuple[Chart, ...] = ()
    tables: tuple[Table, ...] = ()
    texts: tuple[Text, ...] = ()


@dataclass(frozen=True)
class Page:
    """The whole page."""

    title: str
    kind: str
    lead: str
    sections: tuple[PageSection, ...]
    footer: str
    cautions: tuple[str, ...] = field(default=())

    @property
    def charts(self) -> list[Chart]:
        """Every picture, in the order of the page."""
        return [chart for section in self.sections for chart in section.charts]
