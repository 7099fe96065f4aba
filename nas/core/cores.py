"""The processor of this machine, and the cores that this process may use."""

from __future__ import annotations

import math
import os
import platform
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")


def processor() -> str:
    """Return the name of this machine's processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()


def available_cores() -> int:
    """Return the number of cores that this process may use, at least 1.

    It is the smallest of the machine's cores, the process's CPU affinity (``taskset``, Slurm), and the CPU quota of its
    control group (containers), rounded up.
    """
    cores = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        cores = min(cores, len(os.sched_getaffinity(0)))
    return max(1, math.ceil(min(cores, _quota())))


def _quota() -> float:
    """Return the control group's CPU quota in cores; infinite if there is none."""
    least = math.inf
    for folder in _groups():
        try:
            limit, period = (folder / "cpu.max").read_text().split()[:2]
            if limit != "max":
                least = min(least, int(limit) / int(period))
        except (OSError, ValueError):
            pass
        try:
            limit = (folder / "cpu.cfs_quota_us").read_text()
            period = (folder / "cpu.cfs_period_us").read_text()
            if int(limit) > 0:
                least = min(least, int(limit) / int(period))
        except (OSError, ValueError):
            pass
    return least


def _groups() -> list[Path]:
    """Return the folders of the process's control groups (version 2, or the ``cpu`` controller of version 1)."""
    found = [_CGROUP, _CGROUP / "cpu"]
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return found
    for line in lines:
        number, controllers, name = line.split(":", 2)
        if number == "0" or "cpu" in controllers.split(","):
            root = _CGROUP if number == "0" else _CGROUP / "cpu"
            path = root / name.lstrip("/")
            found += [path, *(parent for parent in path.parents if parent.is_relative_to(root))]
    return list(dict.fromkeys(found))
