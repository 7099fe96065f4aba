"""A split of a data set as the training step reads it."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nas.evaluate.data.image_data import Part

_MEASURED_AT_ONCE = 128
_RESIDENT_SHARE = 0.3  # of the GPU memory this process may use; images that need more stay in the host's memory


@dataclass(frozen=True, slots=True)
class Images:
    """Rows of decoded images, and their labels.

    Attributes:
        pixels: ``(m, h, w, 3)`` uint8, in the host's memory or on the device.
        rows: ``(n,)`` int64: indices in ``pixels`` of the images of this split, on the device of ``pixels``.
        labels: ``(n,)`` int64, on the device.
        aspects: ``(n,)`` width of each image divided by its height, on the CPU, if ``pixels`` hold whole images that
            are squeezed into squares; else ``None``.
    """

    pixels: Tensor
    rows: Tensor
    labels: Tensor
    aspects: Tensor | None = None

    @classmethod
    def of(cls, pixels: Tensor, labels: Tensor, aspects: Tensor | None = None) -> Images:
        """Return a split that consists of all of ``pixels``."""
        return cls(pixels, torch.arange(len(labels), device=pixels.device), labels, aspects)

    @classmethod
    def load(cls, part: Part, device: torch.device) -> Images:
        """Load a split for a device. Images are copied to a GPU once if they fit, else batch by batch.

        Images in the host's memory are not copied: all workers read the same mapped file.
        """
        labels = _as_tensor(part.labels).to(device)
        pixels = _as_tensor(part.array)
        rows = _as_tensor(part.rows)
        aspects = None if part.aspects is None else torch.from_numpy(part.aspects.copy())
        size = len(rows) * pixels[0].numel()
        if device.type != "cpu" and size <= _RESIDENT_SHARE * _device_memory(device):
            return cls.of(pixels[rows].to(device), labels, aspects)
        return cls(pixels, rows, labels, aspects)

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, places: Tensor) -> tuple[Tensor, Tensor]:
        """Return pixels ``(b, h, w, 3)`` uint8 and labels ``(b,)`` on the device, for ``places (b,)`` on the CPU."""
        device = self.labels.device
        chosen = self.pixels[self.rows[places.to(self.rows.device, non_blocking=True)]]
        if chosen.device != device:
            chosen = chosen.pin_memory().to(device, non_blocking=True)
        return chosen, self.labels[places.to(device, non_blocking=True)]


@dataclass(frozen=True, slots=True)
class Normalisation:
    """Mean and reciprocal standard deviation of each channel in 0..255, shape ``(3,)``."""

    mean: Tensor
    scale: Tensor

    @classmethod
    def measure(cls, images: Images, sample: int = 10_000) -> Normalisation:
        """Measure the statistics of at most ``sample`` images of a split; the tensors are on the labels' device."""
        rows = images.rows[:: max(1, math.ceil(len(images) / sample))]
        count, total, squares = 0, torch.zeros(3).double(), torch.zeros(3).double()
        for some in torch.split(rows, _MEASURED_AT_ONCE):
            values = images.pixels[some].reshape(-1, 3).double().cpu()
            count, total, squares = count + len(values), total + values.sum(0), squares + values.square().sum(0)
        mean = total / count
        spread = (squares / count - mean.square()).clamp_min(0).sqrt().clamp_min(1.0)
        device = images.labels.device
        return cls(mean.float().to(device), (1 / spread).float().to(device))

    def __call__(self, pixels: Tensor) -> Tensor:
        """Turn ``(n, h, w, 3)`` uint8 into ``(n, 3, h, w)`` float32 in channels_last memory."""
        return ((pixels.float() - self.mean) * self.scale).permute(0, 3, 1, 2)


def _as_tensor(array: NDArray[np.generic]) -> Tensor:
    """Return a tensor that shares an array's memory.

    The tensor is never written to, so torch's warning about read-only arrays is suppressed.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable", UserWarning)
        return torch.from_numpy(array)


def _device_memory(device: torch.device) -> float:
    free, _ = torch.cuda.mem_get_info(device)
    return free * torch.cuda.get_per_process_memory_fraction(device)
