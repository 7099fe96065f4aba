"""The return values of ``nas.search``, ``nas.scale`` and ``nas.load``; notebooks show them as tables and figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.core.errors import InputError
from nas.core.records import Trial
from nas.core.units import count_words, format_quantity
from nas.evaluate.cost.exact import network_cost
from nas.evaluate.cost.stage_table_view import stage_table
from nas.report.facts import Facts
from nas.scale.family import COLUMNS, Member, row_cells, write_family
from nas.search.result import ControlResult
from nas.search_spaces.network import Network

if TYPE_CHECKING:
    from torch import nn


_CELL = "padding: 0 0.8em 0 0; text-align: {side}; white-space: nowrap"


@dataclass(frozen=True)
class SearchResult:
    """A run: its trials, front and baseline, read from its directory.

    Attributes:
        path: the directory.
    """

    path: Path

    @cached_property
    def facts(self) -> Facts:
        """All facts that are read from the run's directory.

        Raises:
            InputError: if it is not a run directory, or no trial has ended.
        """
        return Facts.read(self.path)

    @property
    def trials(self) -> Sequence[Trial]:
        """Finished trials, in the order of the journal."""
        return self.facts.trials

    @property
    def front(self) -> list[Trial]:
        """The Pareto front, in order of decreasing accuracy."""
        return self.facts.front

    @property
    def baseline(self) -> Trial:
        """The baseline's trial; while the run has not ended, the best trial so far.

        Raises:
            InputError: if no trial succeeded.
        """
        if self.facts.best is None:
            raise InputError(f"no trial of '{self.path}' succeeded")
        return self.facts.best

    @property
    def network(self) -> Network | None:
        """The baseline's stage table; ``None`` before the run has ended, and for spaces without stage tables."""
        return self.facts.network

    @property
    def accuracy(self) -> float:
        """The baseline's accuracy, a fraction; once the run has ended, ``Result.accuracy``, the least biased value."""
        result = self.facts.result
        return float(self.baseline.metrics["accuracy"] if result is None else result.accuracy)

    @property
    def test_accuracy(self) -> float | None:
        """The baseline's accuracy on the test split, a fraction; ``None`` if it was not measured."""
        return None if self.facts.result is None else self.facts.result.test_accuracy

    @property
    def control(self) -> ControlResult | None:
        """The comparison with stock networks of the same budget; ``None`` if the run trained none."""
        return None if self.facts.result is None else self.facts.result.control

    @property
    def macs(self) -> int | None:
        """The baseline's multiply-adds."""
        found = self.baseline.metrics.get("macs")
        return None if found is None else int(found)

    @property
    def params(self) -> int | None:
        """The baseline's number of parameters."""
        found = self.baseline.metrics.get("params")
        return None if found is None else int(found)

    def report(self, pictures: bool = False) -> Path:
        """Write ``report.html`` and return its path; with ``pictures``, also write the figures as SVG and PNG files."""
        from nas.report.page import write_report

        return write_report(self.path, pictures=pictures)[0]

    def __repr__(self) -> str:
        return f"<search '{self.path}': {self._words()}>"

    def _words(self) -> str:
        best = self.facts.best
        if best is None:
            return f"{len(self.trials)} trials, none succeeded"
        macs = "" if self.macs is None else f", {self.macs:,} MACs"
        worth = "" if self.control is None else f"; {self.control.verdict}"
        return f"{count_words(len(self.trials), 'trial')}, best {self.accuracy:.2%}{macs}{worth}"

    def _repr_html_(self) -> str:
        from nas.report.chart import report_style
        from nas.report.search_charts import front_chart

        with report_style():
            chart = front_chart(self.facts)
            picture = "" if chart is None else chart.svg()
        table = "" if self.network is None else _network_html(self.network)
        return f"<p><strong>{escape(self.facts.name)}</strong>: {escape(self._words())}</p>{table}{picture}"


@dataclass(frozen=True)
class LoadedNetwork:
    """A network with its exact costs.

    Attributes:
        network: the stage table.
        source: the path or reference name that it was loaded from.
    """

    network: Network
    source: str

    @property
    def macs(self) -> int:
        """Multiply-adds at the network's own resolution and classes."""
        return network_cost(self.network).macs

    @property
    def params(self) -> int:
        """Number of parameters."""
        return network_cost(self.network).params

    def module(self) -> nn.Module:
        """Build the torch module, with trained weights if loaded from a training's folder, else with initial weights.

        The module maps images ``(n, 3, resolution, resolution)`` to logits ``(n, classes)``.
        """
        from nas.search_spaces.module import build
        from nas.weights.find import load_weights

        module = build(self.network)
        if (Path(self.source) / "weights.safetensors").is_file():
            weights = load_weights(self.source, None)
            assert weights is not None
            weights.into(module)
        return module

    def _repr_html_(self) -> str:
        return _network_html(self.network)


@dataclass(frozen=True)
class Family(Sequence[Member]):
    """Scaled networks with their costs.

    Attributes:
        members: the members, in the requested order.
    """

    members: tuple[Member, ...]

    def __len__(self) -> int:
        return len(self.members)

    def __getitem__(self, place: Any) -> Any:
        return self.members[place]

    def __iter__(self) -> Iterator[Member]:
        return iter(self.members)

    def save(self, folder: str | Path) -> list[Path]:
        """Write one YAML file per member and return their paths."""
        return write_family(Path(folder), self.members)

    def _repr_html_(self) -> str:
        rows = [row_cells(member.row()) for member in self.members]
        return _table_html(COLUMNS, rows, COLUMNS[1:])


def _table_html(columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str] = ()) -> str:
    """Return an HTML table; the columns in ``right`` are right-aligned."""
    sides = [_CELL.format(side="right" if column in right else "left") for column in columns]
    head = "".join(f'<th style="{side}">{escape(column)}</th>' for side, column in zip(sides, columns, strict=True))
    body = "".join(
        "<tr>"
        + "".join(f'<td style="{side}">{escape(cell)}</td>' for side, cell in zip(sides, row, strict=True))
        + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _network_html(network: Network) -> str:
    """Return a network's stage table and costs as HTML."""
    cost, content = network_cost(network), stage_table(network)
    words = (
        f"<strong>{escape(network.name)}</strong>: {format_quantity(cost.macs)} MACs, {format_quantity(cost.params)} "
        f"params at {network.resolution} px with {network.classes} classes"
    )
    return f"<p>{words}</p>" + _table_html(content.columns, [*content.rows, content.total], content.right)
