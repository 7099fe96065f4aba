"""The settings of the workers that trials run on."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from nas.core.section import Bytes, Seconds, Section


class WorkerSettings(Section):
    """Where trials run."""

    count: int | None = Field(default=None, ge=0)
    """Ray workers; 0 evaluates in the calling process, without Ray; unset: one a core, at most 8, and 0 for
    evaluators that answer at once."""
    gpus_per_worker: float | None = Field(default=None, ge=0)
    """GPU share of each worker; unset: the GPUs shared evenly."""
    address: str | None = None
    """A running Ray cluster (``auto``, ``host:port``); unset or ``local``: one for this run alone."""
    train_device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where proxies train; ``auto``: CUDA where it is."""
    trial_timeout: Seconds = None
    """Time limit of one trial, in seconds or as ``10m``; unset: none."""
    trial_memory: Bytes = None
    """What one trial may add to its worker's memory, as ``4GB``; unset: no limit. GPU memory goes by the share."""
    shared_files: bool = False
    """With an address: every node sees the prepared images at the same path; else they travel through Ray."""
    retries: int = Field(default=2, ge=0)
    """How often a trial is tried again after its worker died."""
    deterministic: bool = False
    """Proposals depend only on trial numbers, whatever order trials end in; a slow trial may then idle others."""
