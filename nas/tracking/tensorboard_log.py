"""TensorBoard logs of the epochs of a training."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.core.callback import Callback, CallbackList

if TYPE_CHECKING:
    from nas.training.run import TrainingRun

_log = logging.getLogger(__name__)
FOLDER = "tensorboard"
_GROUPS = {"loss": "loss", "raw": "validation", "ema": "validation-average"}


class TensorBoardLog(Callback):
    """Writes the metrics of each epoch; a file that cannot be written causes a warning and does not stop the training.

    Args:
        folder: folder of the training; events are written to its subfolder ``tensorboard``.
        epoch: first epoch to write, 1-based; events that an earlier process wrote from this epoch on are hidden.
    """

    def __init__(self, folder: Path, epoch: int) -> None:
        from tensorboardX import SummaryWriter

        self._writer = SummaryWriter(
            str(folder / FOLDER), purge_step=epoch if epoch > 1 else None, filename_suffix=f".from-epoch-{epoch}"
        )

    def epoch_finished(self, row: Mapping[str, Any]) -> None:
        """Write an epoch's row; its keys become tags such as ``validation/top1``."""
        epoch = int(row["epoch"])
        try:
            for key, value in row.items():
                if key != "epoch":
                    self._writer.add_scalar(_tag(key), float(value), epoch)
            self._writer.flush()
        except OSError as error:
            _log.warning("TensorBoard events of epoch %d could not be written: %s", epoch, error)

    def close(self) -> None:
        """Close the file."""
        with suppress(OSError):
            self._writer.close()


def _tag(key: str) -> str:
    first, _, rest = key.partition("_")
    group = _GROUPS.get(first)
    return f"{group}/{rest or 'train'}" if group else f"training/{key}"


@contextmanager
def events_of(run: TrainingRun, callback: Callback) -> Iterator[Callback]:
    """Yield a callback that also writes events, if the training's configuration asks for them."""
    if not run.config.tensorboard:
        yield callback
        return
    try:
        log = TensorBoardLog(run.path, len(run.history()) + 1)
    except OSError as error:
        _log.warning("TensorBoard events cannot be written (%s); the training continues without them", error)
        yield callback
        return
    try:
        yield CallbackList([callback, log])
    finally:
        log.close()
