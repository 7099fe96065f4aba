"""The paper's transfer results (EfficientNet, arXiv 1905.11946, Table 5), to stand beside what was reached."""

from __future__ import annotations

from dataclasses import dataclass


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
