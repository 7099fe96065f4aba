"""Writes a network and its weights in several formats, and verifies each file in a fresh process."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from nas.core.callback import SILENT, Callback
from nas.core.errors import InputError, WorkError
from nas.core.files import cannot_write, write_bytes_whole, write_whole
from nas.export.other_libraries import Counterpart, find_counterpart, their_state
from nas.export.python_source import python_source
from nas.search_spaces.module import build
from nas.search_spaces.network import Network
from nas.search_spaces.yaml_format import network_to_yaml
from nas.weights.file import Weights
from nas.weights.names import WEIGHTS

FORMATS = ("onnx", "pt2", "py", "yaml", "torchvision", "timm")
_ALWAYS = FORMATS[:4]
_LARGEST_DIFFERENCE = 1e-3  # of a logit, divided by the largest logit; another order of float32 sums gives about 1e-6
_BATCHES = (1, 3)  # batch sizes that are compared; both differ from the batch of 2 that is traced
CARD, CARD_MARK = "README.md", "<!-- exported by nas -->"
_NAMES = {
    "onnx": "{name}.onnx",
    "pt2": "{name}.pt2",
    "py": "model.py",
    "yaml": "network.yaml",
    "torchvision": "torchvision-{theirs}.safetensors",
    "timm": "timm-{theirs}.safetensors",
}
_SCRATCH = ".nas-export-"  # prefix of the temporary folder in which a file is written and verified


@dataclass(frozen=True, slots=True)
class Exported:
    """An exported file that was verified.

    Attributes:
        kind: its format, one of ``FORMATS``.
        path: the file.
        difference: the largest absolute difference between the network's logits and the file's, in a fresh process.
        scale: the largest absolute logit.
        snippet: Python code that loads the file into another library's model; empty for all other formats.
    """

    kind: str
    path: Path
    difference: float
    scale: float
    snippet: str = ""

    @property
    def digest(self) -> str:
        """SHA-256 of the file."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def export(
    network: Network, weights: Weights, kinds: Sequence[str], folder: Path, callback: Callback = SILENT
) -> list[Exported]:
    """Write the network in every format and verify each file in a fresh process.

    Args:
        network: the stage table.
        weights: the network's weights.
        kinds: formats to write, of ``FORMATS``.
        folder: folder for the files; ``weights.safetensors`` is always written too, because some formats read it.
        callback: receives a message for each finished format.

    Raises:
        InputError: if a requested library has no such network, a library is missing, or the folder holds other files.
        WorkError: if a file cannot be written, does not load, or its logits differ from the network's.
    """
    _check_folder(folder, weights)
    counterparts = {kind: _counterpart(network, kind) for kind in kinds if kind not in _ALWAYS}
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from None
    module = build(network).eval()
    weights.into(module)
    weights.save(folder / WEIGHTS)
    with tempfile.TemporaryDirectory() as temporary:
        expected = Path(temporary) / "expected.npz"
        _write_expected(module, network, expected)
        results = []
        for kind in kinds:
            counterpart = counterparts.get(kind)
            path = folder / _NAMES[kind].format(name=network.name, theirs=counterpart.theirs if counterpart else "")
            with tempfile.TemporaryDirectory(dir=folder, prefix=_SCRATCH) as scratch:
                made = Path(scratch) / path.name
                _write(kind, module, network, weights, counterpart, made)
                shutil.copyfile(folder / WEIGHTS, made.with_name(WEIGHTS))
                difference, scale = _verify(kind, made, expected, network, counterpart)
                made.replace(path)
            snippet = counterpart.snippet(network, path.name) if counterpart else ""
            results.append(Exported(kind, path, difference, scale, snippet))
            callback.message(f"{kind:<12}{path}: largest difference {difference:.1e}, largest logit {scale:.3g}")
    return results


def _check_folder(folder: Path, weights: Weights) -> None:
    """Check that an export overwrites no other files: the folder is empty or holds only exports of these weights.

    Raises:
        InputError: if the folder holds other weights or another file; names the first such file.
    """
    if (folder / WEIGHTS).is_file() and (folder / WEIGHTS).read_bytes() != weights.as_bytes():
        raise InputError(f"--out: '{folder}' holds other weights; choose another --out")
    ours = (
        "*.onnx",
        "*.pt2",
        "model.py",
        "network.yaml",
        WEIGHTS,
        "torchvision-*",
        "timm-*",
        f"{_SCRATCH}*",
        "__pycache__",
    )
    for file in sorted(folder.iterdir()) if folder.is_dir() else ():
        is_card = file.name == CARD and CARD_MARK in file.read_text(encoding="utf-8", errors="replace")
        if not is_card and not any(file.match(pattern) for pattern in ours):
            raise InputError(f"--out: '{folder}' holds '{file.name}', which is not an export; choose another --out")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--out: '{folder}' is a file; choose another --out")


def available_formats(network: Network) -> list[str]:
    """Return the formats that a network can be exported to."""
    return [kind for kind in FORMATS if kind in _ALWAYS or find_counterpart(network, kind) is not None]


def _counterpart(network: Network, library: str) -> Counterpart:
    found = find_counterpart(network, library)
    if found is None:
        raise InputError(f"export: {library} has no model that equals '{network.name}'; use {', '.join(_ALWAYS)}")
    return found


def _write(
    kind: str, module: nn.Module, network: Network, weights: Weights, counterpart: Counterpart | None, path: Path
) -> None:
    if kind == "onnx":
        write_bytes_whole(path, _onnx_bytes(module, network, weights))
    elif kind == "pt2":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.export.save(_exported_program(module, network), path)
    elif kind == "py":
        write_whole(path, python_source(network, weights))
    elif kind == "yaml":
        write_whole(path, network_to_yaml(network))
    else:
        from safetensors.torch import save

        assert counterpart is not None
        state = {name: tensor.contiguous() for name, tensor in their_state(counterpart, weights).items()}
        write_bytes_whole(path, save(state))


def _onnx_bytes(module: nn.Module, network: Network, weights: Weights) -> bytes:
    """Return a module as ONNX with a dynamic batch, its classes and normalisation in the metadata.

    Raises:
        InputError: if the exporter is not installed.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401 (required by torch's exporter)
    except ImportError:
        raise InputError("export: ONNX needs packages that are missing; pip install 'mnas[onnx]'") from None
    images = _images(network, 2)
    batch = torch.export.Dim("batch", min=1)
    # The exporter prints its progress to stdout and stderr.
    with warnings.catch_warnings(), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        warnings.simplefilter("ignore")
        program: Any = torch.onnx.export(
            module,
            (images,),
            dynamo=True,
            verbose=False,
            input_names=["images"],
            output_names=["logits"],
            dynamic_shapes=({0: batch},),
        )
    proto = program.model_proto
    about: dict[str, Any] = {
        "name": network.name,
        "classes": weights.classes,
        "mean": weights.mean,
        "std": weights.std,
        "crop_share": weights.crop_share,
        "interpolation": weights.interpolation,
        "pixel_range": weights.pixel_range and weights.pixel_range.ends,
    }
    for key, value in about.items():
        entry = proto.metadata_props.add()
        entry.key, entry.value = key, value if isinstance(value, str) else json.dumps(value)
    onnx.checker.check_model(proto)
    content: bytes = proto.SerializeToString()
    return content


def _exported_program(module: nn.Module, network: Network) -> torch.export.ExportedProgram:
    batch = torch.export.Dim("batch", min=1)
    return torch.export.export(module, (_images(network, 2),), dynamic_shapes=({0: batch},))


def _images(network: Network, count: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(count)
    return torch.randn(count, 3, network.resolution, network.resolution, generator=generator)


def _write_expected(module: nn.Module, network: Network, path: Path) -> None:
    arrays: dict[str, Any] = {}
    with torch.inference_mode():
        for place, count in enumerate(_BATCHES):
            images = _images(network, count)
            arrays |= {f"images{place}": images.numpy(), f"logits{place}": module(images).numpy()}
    np.savez(path, **arrays)


def _verify(
    kind: str, path: Path, expected: Path, network: Network, counterpart: Counterpart | None
) -> tuple[float, float]:
    """Load a file in a fresh process; return the largest difference of a logit and the largest logit.

    Raises:
        InputError: if a package that the check needs is not installed.
        WorkError: if the file does not load there, or its logits differ by more than ``_LARGEST_DIFFERENCE``.
    """
    options = [] if counterpart is None else [counterpart.theirs, str(network.norm_epsilon), str(network.classes)]
    program = Path(__file__).with_name("verify.py")
    command = [sys.executable, "-P", str(program), kind, str(path), str(expected), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no error output"])[-1]
        if "ModuleNotFoundError" in last:
            raise InputError(f"export: {kind} cannot be checked here: {last}; install it, or leave the format out")
        raise WorkError(f"export: {kind} does not load in a fresh process: {last}")
    found = json.loads(done.stdout.strip().splitlines()[-1])
    difference, scale = float(found["difference"]), float(found["scale"])
    if not difference <= _LARGEST_DIFFERENCE * max(scale, 1e-6):
        raise WorkError(
            f"export: {kind} computes different logits: they differ by up to {difference:.3g}, the largest is "
            f"{scale:.3g}; the file was removed"
        )
    return difference, scale
