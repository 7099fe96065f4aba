"""The settings of the workers that trials run on."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from nas.core.cores import available_cores
from nas.core.flag import WHERE, Flag
from nas.core.section import Bytes, Seconds, Section


class WorkerSettings(Section):
    """Settings of the workers."""

    count: Annotated[
        int | None,
        Flag(
            "--workers",
            WHERE,
            help="Ray workers; 0 runs in this process (default: one per core, at most 8; 0 if nothing is trained).",
            resumable=True,
        ),
    ] = Field(default=None, ge=0)
    """Number of Ray workers; 0 evaluates in the calling process, without Ray. Unset: one per core, at most 8; 0 if
    nothing is trained."""
    gpus_per_worker: Annotated[
        float | None, Flag("--gpus-per-worker", WHERE, help="GPU share of each worker, such as 0.25.", resumable=True)
    ] = Field(default=None, ge=0)
    """GPU share of each worker; unset: the GPUs are shared evenly."""
    address: Annotated[
        str | None,
        Flag(
            "--address",
            WHERE,
            help="Join a running Ray cluster (auto or host:port); local starts a new one.",
            resumable=True,
        ),
    ] = None
    """Address of a running Ray cluster (``auto``, ``host:port``); unset or ``local``: a new one for this run only."""
    train_device: Annotated[
        Literal["auto", "cpu", "cuda"],
        Flag("--train-device", WHERE, help="Device of proxy trainings: auto, cpu or cuda.", resumable=True),
    ] = "auto"
    """Device of proxy trainings; ``auto``: CUDA if it is available, else the CPU."""
    trial_timeout: Seconds = None
    """Time limit of one trial, in seconds or as ``10m``; unset: none."""
    trial_memory: Bytes = None
    """Memory that one trial may add to its worker, as ``4GB``; unset: no limit. The GPU share limits GPU memory."""
    shared_files: bool = False
    """With an address: whether every node sees the prepared images at the same path; else Ray sends the images."""
    retries: int = Field(default=2, ge=0)
    """Number of retries of a trial after its worker died."""
    deterministic: Annotated[
        bool,
        Flag("--deterministic", WHERE, help="Proposals depend only on trial numbers, with any number of workers."),
    ] = False
    """Proposals depend only on trial numbers, not on the order in which trials end; workers may wait for a slow one."""

    def count_for(self, is_instant: bool) -> int:
        """Return the number of workers; the default depends on whether anything is trained."""
        if self.count is not None:
            return self.count
        return 0 if is_instant else min(available_cores(), 8)
