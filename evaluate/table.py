"""The evaluator ``table``: metrics that were measured before, by genotype, read from a JSON file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nas.core.documents import read_json
from nas.core.errors import InputError
from nas.core.files import expanded
from nas.core.records import Architecture
from nas.evaluate.contract import check_metrics
from nas.search_spaces import space as spaces
from nas.search_spaces.network import Network
from nas.search_spaces.space import SearchSpace

_EXAMPLE = '{"0,1,2": {"accuracy": 0.71, "macs": 12000000}}'


class TableEvaluator:
    """Evaluator that looks up the metrics of genotypes in a table.

    Args:
        rows: metrics by genotype.
    """

    def __init__(self, rows: Mapping[tuple[int, ...], Mapping[str, float]]) -> None:
        self.rows = rows

    @classmethod
    def read(cls, path: Path, space: SearchSpace) -> TableEvaluator:
        """Read a map from comma-joined genes to metrics (or to an accuracy alone).

        Raises:
            InputError: if the file cannot be read, or an entry does not fit the space; the message names the entry.
        """
        try:
            data = read_json(expanded(path))
        except InputError as error:
            raise InputError(f"evaluator.path: {error}") from None
        if not isinstance(data, dict) or not data:
            raise InputError(f"{path}: expected a map from comma-joined genes to metrics such as {_EXAMPLE}")
        return cls(dict(_row(f"{path}: '{key}'", space, key, value) for key, value in data.items()))

    def evaluate(self, architecture: Architecture, network: Network | None) -> Mapping[str, float]:  # noqa: ARG002
        """Return the genotype's metrics.

        Raises:
            InputError: if the table does not contain the genotype.
        """
        if architecture.genes not in self.rows:
            raise InputError(f"genes {architecture.genes} are not in the table")
        return self.rows[architecture.genes]

    def costs(self, architecture: Architecture) -> dict[str, float]:
        """Return the metrics of a genotype except its accuracies: costs known before any evaluation.

        Raises:
            InputError: if the genotype is not in the table.
        """
        row = self.evaluate(architecture, None)
        return {name: value for name, value in row.items() if not name.startswith("accuracy")}


def _row(where: str, space: SearchSpace, key: str, value: Any) -> tuple[tuple[int, ...], dict[str, float]]:
    try:
        genes = tuple(int(gene) for gene in key.split(","))
    except ValueError:
        raise InputError(f"{where}: expected comma-joined option indices such as '0,1,2'") from None
    try:
        spaces.check(space, Architecture(space.name, genes))
        return genes, check_metrics(value if isinstance(value, dict) else {"accuracy": value})
    except (InputError, RuntimeError) as error:
        raise InputError(f"{where}: {error}") from None
