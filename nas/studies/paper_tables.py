"""Scaled networks of the EfficientNet paper (arXiv 1905.11946, Tables 3 and 7): the paper's FLOPs and exact MACs.

The paper prints rounded coefficients and does not say how resolutions and repeats are rounded. If the printed
coefficients do not reproduce a row, its note says so and, if they are known, which coefficients do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nas.evaluate.cost.exact import network_cost
from nas.scale.compound import Scaling, scale
from nas.scale.find_network import find_network


@dataclass(frozen=True, slots=True)
class PaperRow:
    """A row of Table 3 (or 7, for EfficientNet-B0).

    Attributes:
        network: name of the network in this package.
        label: the scaling, as the paper prints it.
        depth: factor on layers.
        width: factor on channels.
        resolution: factor on the resolution.
        billions: the paper's FLOPs, in billions.
        top1: the paper's accuracy in percent (Table 7's for EfficientNet-B0).
        note: if the printed coefficients do not reproduce the printed FLOPs, the reason and, if known, coefficients
            that do.
    """

    network: str
    label: str
    depth: float
    width: float
    resolution: float
    billions: float
    top1: float
    note: str = ""

    def macs(self) -> int:
        """Return the exact MACs by the printed coefficients.

        Layers are rounded up, channels to multiples of 8, the resolution to the nearest pixel; all stages, stem and
        head are scaled.
        """
        network = find_network(self.network)
        side = round(network.resolution * self.resolution)
        return network_cost(scale(network, Scaling(self.label, self.width, self.depth, side))).macs

    def difference(self) -> float:
        """Return the relative difference of ``macs`` from the paper's FLOPs."""
        return self.macs() / (1e9 * self.billions) - 1

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        macs = self.macs()
        return {
            "network": self.network,
            "label": self.label,
            "depth": self.depth,
            "width": self.width,
            "resolution": self.resolution,
            "macs": macs,
            "paper_macs": 1e9 * self.billions,
            "difference": self.difference(),
            "paper_top1": self.top1,
            "note": self.note,
        }


_LABEL = "the label is rounded: "
_288 = "at 288 px, a multiple of 32, "
_V15 = "v1.5; v1 (stride in the first 1x1) has 3.858"

PAPER_ROWS = (
    PaperRow("mobilenet_v1", "baseline", 1, 1, 1, 0.6, 70.6),
    PaperRow("mobilenet_v1", "w=2", 1, 2, 1, 2.2, 74.2),
    PaperRow("mobilenet_v1", "r=2", 1, 1, 2, 2.2, 72.7, "2.272 printed as 2.2: truncated, not rounded"),
    PaperRow("mobilenet_v1", "d=1.4 w=1.2 r=1.3", 1.4, 1.2, 1.3, 2.3, 75.6, _288 + "2.243, which rounds to 2.2"),
    PaperRow("mobilenet_v2", "baseline", 1, 1, 1, 0.3, 72.0),
    PaperRow("mobilenet_v2", "d=4", 4, 1, 1, 1.2, 76.8, "all stages deepened; 1.021 with the first and last kept"),
    PaperRow("mobilenet_v2", "w=2", 1, 2, 1, 1.1, 76.4),
    PaperRow("mobilenet_v2", "r=2", 1, 1, 2, 1.2, 74.8),
    PaperRow(
        "mobilenet_v2",
        "compound",
        1.4,
        1.2,
        1.3,
        1.3,
        77.4,
        "coefficients not printed; MobileNetV1's are taken; " + _288 + "1.284",
    ),
    PaperRow("resnet50", "baseline", 1, 1, 1, 4.1, 76.0, _V15),
    PaperRow("resnet50", "d=4", 4, 1, 1, 16.2, 78.1, "not reproduced; 16.0 if every convolution is repeated"),
    PaperRow("resnet50", "w=2", 1, 2, 1, 14.7, 77.7, "not reproduced; w=1.91 gives 14.7, a fixed stem 15.87"),
    PaperRow("resnet50", "r=2", 1, 1, 2, 16.4, 77.5),
    PaperRow("resnet50", "d=1.4 w=1.2 r=1.3", 1.4, 1.2, 1.3, 16.7, 78.8, "not reproduced; 300 px gives 16.5"),
    PaperRow("efficientnet_b0", "baseline", 1, 1, 1, 0.4, 77.3),
    PaperRow("efficientnet_b0", "d=4", 4, 1, 1, 1.8, 79.0, _LABEL + "d of 4.01 to 4.5 gives 1.76 to 1.83"),
    PaperRow("efficientnet_b0", "w=2", 1, 2, 1, 1.8, 78.9, _LABEL + "w of 2.19 to 2.24 gives 1.75 to 1.84"),
    PaperRow("efficientnet_b0", "r=2", 1, 1, 2, 1.9, 79.1, _LABEL + "r=2.2, as in Figure 3, gives 1.92"),
    PaperRow("efficientnet_b0", "d=1.4 w=1.2 r=1.3", 1.4, 1.2, 1.3, 1.8, 81.1),
)


def paper_rows(network: str | None = None) -> list[PaperRow]:
    """Return the paper's rows of one network, or all."""
    return [row for row in PAPER_ROWS if network in (None, row.network)]


@dataclass(frozen=True, slots=True)
class PaperPair:
    """A row of Table 4: batch 1, one core of an Intel Xeon E5-2690, mean seconds of 20 runs."""

    large: str
    large_s: float
    small: str
    small_s: float

    @property
    def ratio(self) -> float:
        """Seconds of the large network divided by those of the small network."""
        return self.large_s / self.small_s


TABLE_4 = (
    PaperPair("resnet152", 0.554, "efficientnet_b1", 0.098),
    PaperPair("gpipe", 19.0, "efficientnet_b7", 3.1),  # GPipe's network is not in this package
)


def paper_pair(names: Sequence[str]) -> PaperPair | None:
    """Return the row of Table 4 that compares these networks, ``None`` if none does."""
    return next((pair for pair in TABLE_4 if {pair.large, pair.small} <= set(names)), None)


@dataclass(frozen=True, slots=True)
class TransferRow:
    """One comparison of Table 5.

    Attributes:
        kind: ``public`` for the best result with public code, ``reported`` for the best reported.
        other: the other network.
        other_top1: its accuracy in percent.
        other_params_m: its parameters in millions; ``None`` where the table gives none.
        ours: the EfficientNet.
        top1: its accuracy in percent.
        params_m: its parameters in millions; ``None`` where the table gives none.
    """

    kind: str
    other: str
    other_top1: float
    other_params_m: int | None
    ours: str
    top1: float
    params_m: int | None


TABLE_5: dict[str, tuple[TransferRow, TransferRow]] = {
    "cifar10": (
        TransferRow("public", "NASNet-A", 98.0, 85, "B0", 98.1, 4),
        TransferRow("reported", "GPipe", 99.0, 556, "B7", 98.9, 64),
    ),
    "cifar100": (
        TransferRow("public", "NASNet-A", 87.5, 85, "B0", 88.1, 4),
        TransferRow("reported", "GPipe", 91.3, 556, "B7", 91.7, 64),
    ),
    "birdsnap": (
        TransferRow("public", "Inception-v4", 81.8, 41, "B5", 82.0, 28),
        TransferRow("reported", "GPipe", 83.6, 556, "B7", 84.3, 64),
    ),
    "stanford-cars": (
        TransferRow("public", "Inception-v4", 93.4, 41, "B3", 93.6, 10),
        TransferRow("reported", "DAT", 94.8, None, "B7", 94.7, None),
    ),
    "flowers102": (
        TransferRow("public", "Inception-v4", 98.5, 41, "B5", 98.5, 28),
        TransferRow("reported", "DAT", 97.7, None, "B7", 98.8, None),
    ),
    "fgvc-aircraft": (
        TransferRow("public", "Inception-v4", 90.9, 41, "B3", 90.7, 10),
        TransferRow("reported", "DAT", 92.9, None, "B7", 92.9, None),
    ),
    "oxford-pets": (
        TransferRow("public", "ResNet-152", 94.5, 58, "B4", 94.8, 17),
        TransferRow("reported", "GPipe", 95.9, 556, "B6", 95.4, 41),
    ),
    "food101": (
        TransferRow("public", "Inception-v4", 90.8, 41, "B4", 91.5, 17),
        TransferRow("reported", "GPipe", 93.0, 556, "B7", 93.0, 64),
    ),
}


def table_5(data: str) -> tuple[TransferRow, ...]:
    """Return the paper's rows for a data set's name; empty where it has none."""
    return TABLE_5.get(data, ())
