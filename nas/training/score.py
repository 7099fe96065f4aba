"""The score of a network on a split of the images: top-1, top-5, means over classes, and loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from statistics import fmean

import torch
from torch import Tensor, nn
from torch.nn import functional

from nas.evaluate.proxy.images import Images, Normalisation
from nas.evaluate.proxy.precision import autocast
from nas.training.crops import centre_crop
from nas.training.world import World

AT_ONCE = 128
_ONE = World()


@dataclass(frozen=True, slots=True)
class Score:
    """Top-1 and top-5 accuracy, the mean recall and the mean F1 score of the classes, as fractions; the mean
    cross-entropy in nats.
    """

    top1: float
    top5: float
    balanced_accuracy: float
    macro_f1: float
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
    sums = torch.zeros(2, dtype=torch.float64, device=device)
    counts = torch.zeros(1, dtype=torch.float64, device=device)
    for places in torch.split(torch.arange(len(images))[world.share(len(images))], AT_ONCE):
        pixels, labels = images.batch(places)
        with autocast(device, precision):
            logits = module(normalise(centre_crop(pixels, resolution)))
        top = logits.topk(min(5, logits.shape[1]), 1).indices
        ranked = top == labels[:, None]
        loss = functional.cross_entropy(logits.float(), labels, reduction="sum")
        sums += torch.stack([ranked.sum(), loss]).double()
        own = torch.stack([_count(group, logits.shape[1]) for group in (labels, top[:, 0], labels[ranked[:, 0]])])
        counts = counts + own
    top5, loss_sum = world.sum(sums).tolist()
    true, predicted, right = world.sum(counts)
    known = true > 0
    return Score(
        top1=float(right.sum()) / len(images),
        top5=top5 / len(images),
        balanced_accuracy=float((right / true)[known].mean()),
        macro_f1=float((2 * right / (true + predicted))[known].mean()),
        loss=loss_sum / len(images),
    )


def mean_score(scores: Sequence[Score]) -> Score:
    """Return the mean of several scores, figure by figure."""
    columns = zip(*(astuple(one) for one in scores), strict=True)
    return Score(*(fmean(column) for column in columns))


def _count(labels: Tensor, classes: int) -> Tensor:
    """Return the number of images of each class, ``(classes,)`` float64."""
    return torch.bincount(labels, minlength=classes).double()
