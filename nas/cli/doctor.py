"""Checks whether this machine is ready for a search, with advice on each gap."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from nas.core.cores import available_cores
from nas.evaluate.data.folders import cache_folder, data_folder

MEMORY, SHARED = Path("/proc/meminfo"), Path("/dev/shm")
State = Literal["ok", "gap", "broken"]
WRITTEN_MB, SLOW_MB_S, SLOW_LINE_MS = 32, 50.0, 50.0
ROOM_GB, SHARED_MEMORY_GB, MEMORY_GB = 2.0, 0.5, 4.0
OPTIONAL = {
    "onnx": ("ONNX exports", "pip install 'mnas[onnx]'"),
    "onnxruntime": ("checking ONNX exports, latency by onnxruntime", "pip install 'mnas[onnx]'"),
    "onnxscript": ("ONNX exports", "pip install 'mnas[onnx]'"),
    "optuna_dashboard": ("nas dashboard", "pip install 'mnas[dashboard]'"),
    "tensorboard": ("viewing the TensorBoard events of trainings", "pip install tensorboard"),
    "timm": ("checking state dicts for timm", "pip install timm"),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check.

    Attributes:
        name: what was checked.
        state: ``ok``; ``gap``: something is slower or not possible; ``broken``: a search cannot work.
        found: what the check found.
        advice: what to do about a gap.
    """

    name: str
    state: State
    found: str
    advice: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the finding as a dict of plain values."""
        return asdict(self)


def examine(folder: Path, start_ray: bool = False) -> Iterator[Finding]:
    """Run all checks in order and yield their findings. A check that raises an error yields a ``broken`` finding.

    Args:
        folder: where runs will be written.
        start_ray: start a local cluster, which takes some seconds.
    """
    looks: list[tuple[str, Callable[[], Finding]]] = [
        ("Python", _python),
        ("nas", _program),
        ("PyTorch", _torch),
        ("GPU", _gpu),
        ("cores", _cores),
        ("memory", _memory),
        ("Ray", lambda: _ray(start_ray)),
        ("shared memory", _shared_memory),
        ("run directory", lambda: _writing(folder)),
        ("cache", lambda: _room("cache", cache_folder(), "NAS_CACHE")),
        ("data", _data),
        ("wandb", _wandb),
    ]
    for name, look in looks:
        try:
            yield look()
        except Exception as error:
            yield Finding(name, "broken", f"{type(error).__name__}: {error}", "please report this error")
    for package, (use, command) in OPTIONAL.items():
        yield _optional(package, use, command)


def _python() -> Finding:
    words = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    if platform.system() != "Linux":
        return Finding("Python", "gap", words, "only Linux is tested")
    return Finding("Python", "ok", words)


def _program() -> Finding:
    from nas.core.version import package_version

    return Finding("nas", "ok", f"{package_version()} in {Path(__file__).parents[1]}")


def _torch() -> Finding:
    try:
        import torch
    except (ImportError, OSError) as error:
        return Finding("PyTorch", "broken", f"cannot be loaded: {error}", "pip install torch torchvision")
    return Finding("PyTorch", "ok", f"{torch.__version__}, {torch.get_num_threads()} threads")


def _gpu() -> Finding:
    import torch

    if torch.cuda.is_available():
        found = []
        for place in range(torch.cuda.device_count()):
            free, total = torch.cuda.mem_get_info(place)
            half = "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
            name = torch.cuda.get_device_properties(place).name
            found.append(f"{name}, {free / 1e9:.0f} of {total / 1e9:.0f} GB free, {half}")
        return Finding("GPU", "ok", f"CUDA {torch.version.cuda}: {'; '.join(found)}")
    if shutil.which("nvidia-smi"):
        driver = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=20, check=False)
        if driver.returncode == 0 and driver.stdout.strip():
            advice = "install a PyTorch build for a CUDA version that this driver supports: pytorch.org/get-started"
            return Finding("GPU", "gap", f"PyTorch finds no GPU, but the driver lists: {driver.stdout.strip()}", advice)
    advice = "trainings use the CPU: small images, few epochs, --fidelity asha; searches by prediction need no GPU"
    return Finding("GPU", "gap", "none", advice)


def _cores() -> Finding:
    count = available_cores()
    busy = os.getloadavg()[0]
    words = f"{count}, load {busy:.1f}"
    if busy > 1.5 * count:
        return Finding("cores", "gap", words, "other processes use the CPU: trials take longer, latencies are noisy")
    return Finding("cores", "ok", words)


def _memory() -> Finding:
    if not MEMORY.is_file():
        return Finding("memory", "gap", "not known on this system", "monitor the memory while workers run")
    values = dict(line.split(":") for line in MEMORY.read_text(encoding="ascii").splitlines())
    free, total = (int(values[name].split()[0]) / 1e6 for name in ("MemAvailable", "MemTotal"))
    words = f"{free:.1f} of {total:.1f} GB free"
    if free < MEMORY_GB:
        return Finding("memory", "gap", words, "start few workers, and limit trials: --set workers.trial_memory=1GB")
    return Finding("memory", "ok", words)


def _ray(start: bool) -> Finding:
    try:
        number = version("ray")
    except PackageNotFoundError:
        return Finding("Ray", "gap", "not installed", "pip install 'ray[train]'; without it: --workers 0")
    if not start:
        return Finding("Ray", "ok", f"{number} (--ray starts a local cluster as a test)")
    from nas.evaluate.workers.ray_cluster import start_and_stop

    seconds = start_and_stop()
    return Finding("Ray", "ok", f"{number}; a local cluster started in {seconds:.1f} s")


def _shared_memory() -> Finding:
    if not SHARED.is_dir():
        return Finding("shared memory", "gap", "no /dev/shm on this system", "Ray keeps images on disk: slower")
    free = shutil.disk_usage(SHARED).free / 1e9
    words = f"{free:.1f} GB free in /dev/shm"
    if free < SHARED_MEMORY_GB:
        return Finding("shared memory", "gap", words, "Ray keeps images in /dev/shm; in Docker: --shm-size=4g")
    return Finding("shared memory", "ok", words)


def _writing(folder: Path) -> Finding:
    """Measure the write speed of the disk, and the time until a journal line is synced to it."""
    there = next(parent for parent in (folder, *folder.resolve().parents) if parent.exists())
    if not there.is_dir():
        return Finding("run directory", "broken", f"{there} is a file", "give another --out")
    try:
        with tempfile.NamedTemporaryFile(dir=there, prefix=".nas-doctor-") as file:
            start = time.perf_counter()
            file.write(os.urandom(1_000_000) * WRITTEN_MB)
            file.flush()
            os.fsync(file.fileno())
            speed = WRITTEN_MB / (time.perf_counter() - start)
            start = time.perf_counter()
            for _ in range(5):
                file.write(b"{}\n" * 100)
                file.flush()
                os.fsync(file.fileno())
            line_ms = 200 * (time.perf_counter() - start)
    except OSError as error:
        return Finding("run directory", "broken", f"{there} cannot be written ({error.strerror})", "give another --out")
    free = shutil.disk_usage(there).free / 1e9
    words = f"{there}: {speed:,.0f} MB/s, a trial's journal line is synced in {line_ms:.1f} ms, {free:.1f} GB free"
    if free < ROOM_GB:
        return Finding("run directory", "gap", words, "free space, or give another --out")
    if speed < SLOW_MB_S or line_ms > SLOW_LINE_MS:
        return Finding("run directory", "gap", words, "slow disk: write runs to a local disk with --out")
    return Finding("run directory", "ok", words)


def _room(name: str, folder: Path, variable: str) -> Finding:
    there = next(parent for parent in (folder, *folder.parents) if parent.is_dir())
    free = shutil.disk_usage(there).free / 1e9
    words = f"{folder}, {free:.1f} GB free"
    if not os.access(there, os.W_OK):
        return Finding(name, "broken", f"{words}; not writable", f"set {variable} to a writable folder")
    if free < ROOM_GB:
        return Finding(name, "gap", words, f"set {variable} to a folder with more free space")
    return Finding(name, "ok", words)


def _data() -> Finding:
    from nas.evaluate.data.inventory import named_data, prepared_data

    here = [row["name"] for row in named_data() if row["here"] == "yes"]
    words = f"{', '.join(here)} in {data_folder()}; {len(prepared_data())} prepared"
    advice = "" if len(here) > 1 else "for your images: --data DIR; for named data sets: nas data list, NAS_DATA"
    return Finding("data", "ok", words, advice)


def _wandb() -> Finding:
    from nas.tracking.wandb_run import choose_mode

    mode = choose_mode()
    advice = "to upload: wandb login, or WANDB_API_KEY" if mode == "offline" else ""
    return Finding("wandb", "ok", f"{version('wandb')}, --wandb logs {mode}", advice)


def _optional(package: str, use: str, command: str) -> Finding:
    name = package.replace("_", "-")
    if find_spec(package) is None:
        return Finding(name, "gap", f"not installed; needed for {use}", command)
    try:
        return Finding(name, "ok", version(name))
    except PackageNotFoundError:
        return Finding(name, "ok", "installed")
