"""A network's stage table as plain cells, for the terminal, for pages and for notebooks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nas.evaluate.cost.exact import cost_by_part, network_cost
from nas.search_spaces.network import Network
from nas.search_spaces.parts import EXPAND, Head, Stage, Stem, output_size

# Header, short header for narrow terminals, key of the row, default (a column of only defaults is left out).
_COLUMNS = (
    ("stage", "stage", "name", None),
    ("op", "op", "op", None),
    ("kernel", "k", "kernel", None),
    ("stride", "s", "stride", None),
    ("expand", "exp", "expand", None),
    ("channels", "out", "channels", None),
    ("layers", "n", "layers", None),
    ("SE", "SE", "se", None),
    ("input px", "px", "size", None),
    ("MACs", "MACs", "macs", None),
    ("params", "params", "params", None),
    ("SE form", "SE form", "se_form", ""),
    ("skip", "skip", "skip", "identity"),
    ("activation", "act", "activation", "swish"),
)
_LEFT = ("stage", "op", "SE form", "skip", "activation", "act")


@dataclass(frozen=True, slots=True)
class StageTable:
    """A stage table with the cost of every row.

    Attributes:
        columns: headers.
        rows: cells of the stem, the stages and the head.
        total: cells of the last row, the totals.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    total: tuple[str, ...]

    @property
    def right(self) -> tuple[str, ...]:
        """The columns that hold numbers."""
        return tuple(column for column in self.columns if column not in _LEFT)


def stage_table(network: Network, short: bool = False) -> StageTable:
    """Return a network's stage table; columns that hold only empty cells and defaults are left out.

    Args:
        network: the network to show.
        short: whether to use short headers.
    """
    rows = _rows(network)
    shown = [column for column in _COLUMNS if any(row[column[2]] not in ("", column[3]) for row in rows)]
    cost = network_cost(network)
    totals = {"name": "total", "macs": f"{cost.macs:,}", "params": f"{cost.params:,}"}
    return StageTable(
        columns=tuple(brief if short else long for long, brief, _, _ in shown),
        rows=tuple(tuple(str(row[key]) for _, _, key, _ in shown) for row in rows),
        total=tuple(totals.get(key, "") for _, _, key, _ in shown),
    )


def cells(part: Stem | Stage | Head) -> dict[str, str]:
    """Return the displayed cells of a part, by field; fields that do not apply are left out."""
    if isinstance(part, Stem):
        op = part.op if part.pool == "none" else f"{part.op}+{part.pool}pool"
        shape = {"op": op, "kernel": part.kernel, "stride": part.stride, "channels": part.channels, "layers": 1}
        return {key: str(value) for key, value in shape.items()} | {"activation": part.activation}
    if isinstance(part, Head):
        steps = ["conv"] if part.channels else []
        op = "+".join([*steps, *(["fc"] if part.hidden else []), "fc"])
        widths = ", ".join(str(width) for width in (part.channels, part.hidden) if width)
        found = {"op": op, "channels": widths} | ({"kernel": "1", "stride": "1"} if part.channels else {})
        found |= {"dropout": f"{part.dropout:g}"}
        return found | ({"activation": part.activation, "layers": "1"} if widths else {})
    row: dict[str, object] = {"op": part.op, "kernel": part.kernel, "stride": part.stride, "channels": part.channels}
    row |= {"layers": part.layers, "skip": part.skip, "activation": part.activation}
    return {key: str(value) for key, value in row.items()} | {
        "expand": f"{part.expand_ratio:g}" if part.op in EXPAND else "-",
        "se": f"{part.se:g}" if part.se else "-",
        "se_form": _excitation_form(part) if part.se else "",
    }


def _excitation_form(stage: Stage) -> str:
    """Return as text the settings of a stage's SE that differ from EfficientNet's."""
    odd: list[str] = [stage.se_base] if stage.se_base != "input" else []
    odd += [stage.se_activation] if stage.se_activation else []
    odd += [stage.se_gate] if stage.se_gate != "sigmoid" else []
    return " ".join(odd)


def _rows(network: Network) -> list[dict[str, Any]]:
    """Return the table's cells by key; cells that do not apply are empty."""
    sizes = [network.resolution, network.stem_size]
    for stage in network.stages:
        sizes.append(output_size(sizes[-1], stage.stride))
    rows = []
    for part, size, (name, cost) in zip(network.parts, sizes, cost_by_part(network), strict=True):
        own = {"name": name, "size": str(size), "macs": f"{cost.macs:,}", "params": f"{cost.params:,}"}
        rows.append(dict.fromkeys((key for _, _, key, _ in _COLUMNS), "") | cells(part) | own)
    return rows
