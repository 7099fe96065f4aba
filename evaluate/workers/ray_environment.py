"""Environment variables that Ray reads when it is first imported. This module does not import Ray."""

from __future__ import annotations

import os


def quiet_ray() -> None:
    """Set Ray's environment variables that are not set yet.

    They turn off usage reports, tokens and raylet messages on the terminal (the pool itself reports the death of a
    worker), and leave CUDA_VISIBLE_DEVICES unchanged for workers that request no GPU. Workers get the priority of the
    program itself: Ray's own default, niceness 15, leaves them a few percent of a busy core, so that a time budget
    would pass without trials.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_AUTH_MODE", "disabled")
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".*")
    os.environ.setdefault("RAY_worker_niceness", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
