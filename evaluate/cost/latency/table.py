"""A latency table: times of operators, the line from their sums to latencies of networks, and its validation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nas.core.documents import read_json
from nas.core.errors import InputError, explain
from nas.core.files import expanded
from nas.evaluate.cost.latency.operators import operator_name, operators_of
from nas.search_spaces.network import Network


class _Plain(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class CheckedNetwork(_Plain):
    """A network that was not used to make the table: its genes, predicted and measured milliseconds."""

    genes: tuple[int, ...]
    predicted_ms: float = Field(gt=0)
    measured_ms: float = Field(gt=0)


class Validation(_Plain):
    """Agreement of predictions with measured whole networks: mean relative error (a fraction), rank correlations."""

    mape: float = Field(ge=0)
    kendall_tau: float
    spearman: float
    networks: tuple[CheckedNetwork, ...]


class LatencyTable(_Plain):
    """The table that ``nas latency build`` writes.

    The predicted latency of a network is ``intercept_ms + scale * sum of its operators``.
    """

    space: str
    device: str
    backend: str
    threads: int = Field(ge=1)
    batch: int = Field(ge=1)
    operators_ms: Mapping[str, float]
    scale: float = Field(gt=0)
    intercept_ms: float = Field(ge=0)
    validation: Validation
    machine: Mapping[str, str]
    seconds: float

    def sum_ms(self, network: Network) -> float:
        """Return the sum of a network's operators in ms.

        Raises:
            InputError: if one of them was not measured.
        """
        return sum_ms(self.operators_ms, network, self.space)

    def predict_ms(self, network: Network) -> float:
        """Return the predicted latency of one batch in ms.

        Raises:
            InputError: if an operator was not measured.
        """
        return self.intercept_ms + self.scale * self.sum_ms(network)


def sum_ms(operators_ms: Mapping[str, float], network: Network, space: str) -> float:
    """Return the sum of a network's operators in ms.

    Raises:
        InputError: if an operator was not measured; the message names it.
    """
    total = 0.0
    for operator in operators_of(network):
        name = operator_name(operator)
        if name not in operators_ms:
            raise InputError(
                f"the latency table of space '{space}' has no operator '{name}'; build a table for the space you use"
            )
        total += operators_ms[name]
    return total


def read_table(path: Path) -> LatencyTable:
    """Read a latency table.

    Raises:
        InputError: if the file holds no valid latency table; the message names the fault.
    """
    try:
        data = read_json(expanded(path))
    except InputError as error:
        raise InputError(f"--device: {error}") from None
    try:
        return LatencyTable.model_validate(data)
    except ValidationError as error:
        raise InputError(f"{explain(error, LatencyTable, str(path))} (nas latency build writes such files)") from None


def as_text(table: LatencyTable) -> str:
    """Return a table as JSON text."""
    import json

    data: dict[str, Any] = table.model_dump(mode="json")
    return json.dumps(data, indent=1) + "\n"
