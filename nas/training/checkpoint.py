"""A training's whole state on disk: tensors as safetensors, and a small JSON file that names them, written last."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from nas.core.documents import read_json
from nas.core.errors import WorkError
from nas.core.files import write_bytes_whole, write_whole

STATE, FORMAT = "checkpoint.json", "mnas-checkpoint-1"


@dataclass(frozen=True)
class Checkpoint:
    """The complete state of a training.

    Attributes:
        tensors: weights, their moving average and the optimizer's state, by name.
        values: everything else, as plain values.
    """

    tensors: Mapping[str, Tensor]
    values: dict[str, Any]

    def save(self, folder: Path) -> None:
        """Write the checkpoint. If the program dies, the folder holds this or the previous checkpoint, complete.

        Raises:
            WorkError: if it cannot be written; the previous checkpoint is then kept.
        """
        from safetensors.torch import save

        name = f"checkpoint-{self.values['epoch']:04}-{self.values['step']:06}.safetensors"
        tensors = {key: tensor.detach().cpu().contiguous() for key, tensor in self.tensors.items()}
        write_bytes_whole(folder / name, save(tensors, {"format": FORMAT}))
        values = {**self.values, "tensors": name, "format": FORMAT}
        write_whole(folder / STATE, json.dumps(values, indent=1, allow_nan=False) + "\n")
        for old in folder.glob("checkpoint-*.safetensors"):
            if old.name != name:
                with contextlib.suppress(OSError):
                    old.unlink()

    @classmethod
    def load(cls, folder: Path) -> Checkpoint | None:
        """Read the last complete checkpoint; ``None`` if there is none yet.

        Raises:
            WorkError: if it is damaged, so that the training does not silently start again from the beginning.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        file = folder / STATE
        if not file.is_file():
            return None
        try:
            values = read_json(file)
            if values["format"] != FORMAT:
                raise ValueError(f"its format is {values['format']!r}, expected {FORMAT!r}")
            return cls(load_file(folder / Path(values["tensors"]).name), values)
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise WorkError(
                f"{file}: the checkpoint cannot be read ({type(error).__name__}: {error}); restore it, or remove it "
                "to train from the start"
            ) from None


def pack(groups: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Merge groups of tensors into one mapping, with names ``GROUP/NAME``."""
    return {f"{group}/{name}": tensor for group, tensors in groups.items() for name, tensor in tensors.items()}


def unpack(tensors: Mapping[str, Tensor], group: str) -> dict[str, Tensor]:
    """Return the tensors of one group, without the group in their names."""
    start = f"{group}/"
    return {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}
