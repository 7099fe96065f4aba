"""The parts of a report's page, as plain values."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field

from nas.report.chart import Chart


@dataclass(frozen=True)
class Table:
    """A table with a heading for each column; ``right`` columns are right-aligned; a ``folded`` table is collapsed."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[str]]
    right: tuple[str, ...] = ()
    folded: bool = False


@dataclass(frozen=True)
class Text:
    """A text for copying, collapsed unless it is ``open``."""

    title: str
    text: str
    open: bool = False


@dataclass(frozen=True)
class Picture:
    """A PNG image, and its description for readers who cannot see it."""

    name: str
    content: bytes
    alternative: str

    @property
    def source(self) -> str:
        """The image as a data URI."""
        return f"data:image/png;base64,{base64.b64encode(self.content).decode()}"


@dataclass(frozen=True)
class PageSection:
    """A part of the page."""

    id: str
    title: str
    text: tuple[str, ...] = ()
    charts: tuple[Chart, ...] = ()
    tables: tuple[Table, ...] = ()
    texts: tuple[Text, ...] = ()
    pictures: tuple[Picture, ...] = ()


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
        """Every chart, in the order of the page."""
        return [chart for section in self.sections for chart in section.charts]
