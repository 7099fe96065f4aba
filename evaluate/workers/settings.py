"""The settings of the workers that trials run on."""

from __future__ import annotations

import os
from typing import Annotated, Literal

from pydantic import Field

from nas.core.flag import WHERE, Flag
from nas.core.section import Bytes, Seconds, Section


class WorkerSettings(Section):
    """Where trials run."""

    count: Annotated[
        int | None,
        Flag(
            "--workers",
            WHERE,
            help="Ray workers; 0 runs in this process (default: one a core, at most 8; 0 where nothing is trained).",
            resumable=True,
        ),
    ] = Field(default=None, ge=0)
    """Ray workers; 0 evaluates in the calling process, without Ray; unset: one a core, at most 8, and 0 for
    evaluators that answer at once."""
    gpus_per_worker: Annotated[
        float | None, Flag("--gpus-per-worker", WHERE, help="GPU share of each worker, such as 0.25.", resumable=True)
    ] = Field(default=None, ge=0)
    """GPU share of each worker; unset: the GPUs shared evenly."""
    address: Annotated[
        str | None,
        Flag(
            "--address",
            WHERE,
            help="Join a running Ray cluster: auto, host:port; local starts one.",
            resumable=True,
        ),
    ] = None
    """A running Ray cluster (``auto``, ``host:port``); unset or ``local``: one for this run alone."""
    train_device: Annotated[
        Literal["auto", "cpu", "cuda"],
        Flag("--train-device", WHERE, help="auto, cpu or cuda.", resumable=True),
    ] = "auto"
    """Where proxies train; ``auto``: CUDA where it is."""
    trial_timeout: Seconds = None
    """Time limit of one trial, in seconds or as ``10m``; unset: none."""
    trial_memory: Bytes = None
    """What one trial may add to its worker's memory, as ``4GB``; unset: no limit. GPU memory goes by the share."""
    shared_files: bool = False
    """With an address: every node sees the prepared images at the same path; else they travel through Ray."""
    retries: int = Field(default=2, ge=0)
    """How often a trial is tried again after its worker died."""
    deterministic: Annotated[
        bool,
        Flag("--deterministic", WHERE, help="Proposals depend only on trial numbers, with any number of workers."),
    ] = False
    """Proposals depend only on trial numbers, whatever order trials end in; a slow trial may then idle others."""

    def count_for(self, is_instant: bool) -> int:
        """Return how many workers there are, with the default resolved: it depends on whether anything is trained."""
        if self.count is not None:
            return self.count
        return 0 if is_instant else min(os.cpu_count() or 1, 8)
