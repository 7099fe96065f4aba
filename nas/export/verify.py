"""Loads one exported file and compares its logits with the expected ones; runs as a separate process.

``python -I verify.py KIND FILE EXPECTED.npz [MODEL EPSILON CLASSES]`` prints one JSON line. It imports this package
only for the YAML format, so every other format is shown to work without this package.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Batch = Any
Run = Callable[[Batch], Batch]


def main(kind: str, file: str, expected: str, *options: str) -> None:
    """Compare every batch of images in ``EXPECTED.npz`` (``images0``, ``logits0``, ...)."""
    run = _RUNNERS[kind](Path(file), *options)
    largest = scale = 0.0
    with np.load(expected, allow_pickle=False) as arrays:
        for place in range(len(arrays.files) // 2):
            logits = np.asarray(run(arrays[f"images{place}"]))
            wanted = arrays[f"logits{place}"]
            if logits.shape != wanted.shape:
                raise ValueError(f"logits of shape {logits.shape}, expected {wanted.shape}")
            if not (np.isfinite(logits).all() and np.isfinite(wanted).all()):
                raise ValueError("logits are not finite and cannot be compared")
            largest = max(largest, float(np.abs(logits - wanted).max()))
            scale = max(scale, float(np.abs(wanted).max()))
    print(json.dumps({"difference": largest, "scale": scale}))


def _onnx(file: Path) -> Run:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda images: session.run(None, {name: images})[0]


def _pt2(file: Path) -> Run:
    import torch

    module = torch.export.load(file).module()
    return _with_torch(module)


def _py(file: Path) -> Run:
    import importlib.util

    spec = importlib.util.spec_from_file_location("exported_model", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["exported_model"] = module
    spec.loader.exec_module(module)
    return _with_torch(module.load())


def _yaml(file: Path) -> Run:
    from safetensors.torch import load_file

    from nas.search_spaces.module import build
    from nas.search_spaces.yaml_format import load_network

    module = build(load_network(file)).eval()
    module.load_state_dict(load_file(file.with_name("weights.safetensors")))
    return _with_torch(module)


def _library(make: Callable[[str, int], Any]) -> Callable[..., Run]:
    def runner(file: Path, model: str, epsilon: str, classes: str) -> Run:
        import torch
        from safetensors.torch import load_file

        module = make(model, int(classes)).eval()
        for part in module.modules():
            if isinstance(part, torch.nn.BatchNorm2d):
                part.eps = float(epsilon)
        module.load_state_dict(load_file(file))
        return _with_torch(module)

    return runner


def _make_torchvision(model: str, classes: int) -> Any:
    import torchvision

    return torchvision.models.get_model(model, weights=None, num_classes=classes)


def _make_timm(model: str, classes: int) -> Any:
    import timm

    return timm.create_model(model, num_classes=classes)


def _with_torch(module: Any) -> Run:
    import torch

    def run(images: Batch) -> Batch:
        with torch.inference_mode():
            return module(torch.from_numpy(images)).numpy()

    return run


_RUNNERS: dict[str, Callable[..., Run]] = {
    "onnx": _onnx,
    "pt2": _pt2,
    "py": _py,
    "yaml": _yaml,
    "torchvision": _library(_make_torchvision),
    "timm": _library(_make_timm),
}


if __name__ == "__main__":
    main(*sys.argv[1:])
