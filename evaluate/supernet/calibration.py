"""One network of a supernet with BatchNorm statistics from training images."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from nas.core.records import Architecture
from nas.evaluate.supernet.one_network import OneNetwork
from nas.evaluate.supernet.supernet import Supernet

AT_ONCE = 64
"""Images in each batch of a calibration, at most."""


def calibrated(
    supernet: Supernet,
    architecture: Architecture,
    total: int,
    count: int,
    images: Callable[[Tensor], Tensor],
) -> OneNetwork:
    """Return one network with statistics of its own.

    Args:
        supernet: the shared weights.
        architecture: the network's genotype.
        total: number of training images.
        count: how many of them are used, evenly spaced; all if there are fewer.
        images: returns the images at places ``(n,)`` as they are scored, ``(n, 3, h, w)``.
    """
    used = min(count, total)
    places = torch.linspace(0, total - 1, used).round().long()
    parts = places.tensor_split(-(-used // AT_ONCE))  # nearly equal sizes: BatchNorm cannot measure one image
    batches = (images(part) for part in parts)
    return OneNetwork(supernet, architecture, supernet.calibrate(architecture, batches))
