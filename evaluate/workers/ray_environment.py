"""What Ray reads of the environment when it is first imported. Imports no Ray itself."""

from __future__ import annotations

import os


def quiet_ray() -> None:
    """Set it where nobody did.

    No usage reports, no tokens, no raylet messages on our terminal (a worker's death is reported by us), and
    CUDA_VISIBLE_DEVICES left alone where no GPU is asked for.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_AUTH_MODE", "disabled")
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".*")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
