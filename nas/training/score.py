"""The score of a network on a split of the images: top-1, top-5 and loss."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from nas.evaluate.proxy.images import Images, Normalisation
from nas.evaluate.proxy.precision import autocast
from nas.training.crops import centre_crop
from nas.training.world import World

AT_ONCE = 128
_ONE = World()


@dataclass(frozen=True, slots=True)
class Score:
    """The top-1 and top-5 accuracies as fractions, and the mean cross-entropy in nats."""

    top1: float
    top5: float
    loss: float


@torch.inference_mode()
def score(
    module: nn.Module,
    images: Images,
    normalise: Normalisation,
    resolution: int,
    precision: torch.dtype | None = None,
    world: World = _ONE,
) -> Score:
    """Score a module; each process scores its share of the images.

    Args:
        module: the network, in any mode; it is in ``eval`` mode afterwards.
        images: images of at least ``resolution`` pixels, of which the centre crops are scored.
        normalise: normalisation of the images, as in training.
        resolution: resolution of the network's input, in pixels.
        precision: autocast's type; ``None`` for float32.
        world: the processes that score together.
    """
    module.eval()
    device = images.labels.device
    sums = torch.zeros(3, dtype=torch.float64, device=device)
    for places in torch.split(torch.arange(len(images))[world.share(len(images))], AT_ONCE):
        pixels, labels = images.batch(places)
        with autocast(device, precision):
            logits = module(normalise(centre_crop(pixels, resolution)))
        ranked = logits.topk(min(5, logits.shape[1]), 1).indices == labels[:, None]
        loss = functional.cross_entropy(logits.float(), labels, reduction="sum")
        sums += torch.stack([ranked[:, 0].sum(), ranked.sum(), loss]).double()
    top1, top5, loss_sum = world.sum(sums).tolist()
    return Score(top1 / len(images), top5 / len(images), loss_sum / len(images))
