from __future__ import annotations

import numpy as np
import pytest
from torch import nn

from nas.core.errors import InputError
from nas.core.records import Architecture
from nas.evaluate.cost.known_costs import KnownCosts


class _Built:
    name, gene_sizes, resolution = "built", (2,), 8

    def build(self, architecture: Architecture) -> nn.Module:
        return nn.Conv2d(3, 4 + architecture.genes[0], 3, padding=1, bias=False)


def test_modules_are_counted_on_the_meta_device() -> None:
    costs = KnownCosts(_Built())
    assert costs(Architecture("built", (1,))) == {"macs": 5 * 27 * 64, "params": 135, "weight_bytes": 540}
    without = type("NoResolution", (), {"name": "n", "gene_sizes": (2,), "build": _Built.build})()
    assert KnownCosts(without)(Architecture("n", (0,))) == {"params": 108, "weight_bytes": 432}


def test_spaces_own_costs_come_first_and_must_fit() -> None:
    class Own:
        name, gene_sizes = "own", (3,)

        def costs(self, genes: np.ndarray) -> dict[str, np.ndarray]:
            return {"macs": genes[:, 0] * 10, "joules": genes[:, 0] / 2}

    assert KnownCosts(Own())(Architecture("own", (2,))) == {"macs": 20, "joules": 1.0}
    wrong = type("Wrong", (), {"name": "w", "gene_sizes": (3,), "costs": lambda self, genes: {"macs": genes}})()
    with pytest.raises(InputError, match=r"costs\(genes\)\['macs'\]: expected an array of shape"):
        KnownCosts(wrong)(Architecture("w", (0,)))


def test_table_spaces_have_no_costs() -> None:
    table = type("Table", (), {"name": "t", "gene_sizes": (3,)})()
    assert KnownCosts(table)(Architecture("t", (0,))) == {}
