"""The network from whose outputs a training learns: its weights, and its logits for the images of the training."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from nas.core.errors import InputError
from nas.core.files import expanded
from nas.core.records import Architecture
from nas.core.units import format_quantity
from nas.evaluate.cost.exact import network_cost
from nas.evaluate.data.identity import check_unseen
from nas.evaluate.data.image_data import ImageData
from nas.evaluate.proxy.images import Images, Normalisation
from nas.evaluate.proxy.small_maps import use_small_maps
from nas.evaluate.supernet.calibration import calibrated
from nas.evaluate.supernet.file import SHARED, SharedWeights, supernet_file
from nas.search_spaces.catalogue import load_space
from nas.training.config import TrainConfig
from nas.training.crops import as_scored
from nas.training.recipe import Recipe
from nas.weights.file import Weights
from nas.weights.find import make_module, weights_of

_CALIBRATED = 2000  # training images from which statistics of a supernet's network are measured


@dataclass(frozen=True)
class TeacherNetwork:
    """A trained network that teaches another.

    Attributes:
        module: maps normalised images of ``resolution`` pixels to logits.
        normalise: its normalisation, on the device.
        resolution: side of its images in pixels.
    """

    module: nn.Module
    normalise: Normalisation
    resolution: int

    def __call__(self, pixels: Tensor) -> Tensor:
        """Return logits ``(n, classes)`` for pixels in 0..255, ``(n, 3, h, w)`` float32, of any size."""
        images = self.normalise(pixels.permute(0, 2, 3, 1))
        side = self.resolution
        if images.shape[2:] != (side, side):
            images = functional.interpolate(images, (side, side), mode="bilinear", antialias=True)
        logits: Tensor = self.module(images)
        return logits


def find_teacher(reference: str) -> Weights | SharedWeights:
    """Return the weights of a teacher.

    Args:
        reference: a training's folder, a search with a supernet, a ``.safetensors`` file, ``torchvision/NAME``, or the
            folder of a supernet, whose largest network is the teacher.

    Raises:
        InputError: if there are no such weights.
    """
    path = expanded(reference)
    if (path / SHARED).is_file() or path.name == SHARED:
        return SharedWeights.read(supernet_file(reference))
    try:
        found = weights_of(reference)
    except InputError as error:
        raise InputError(f"--teacher: {error}") from None
    if found is None:
        raise InputError(
            f"--teacher: '{reference}' has no weights of its own; train it on these images first (nas train "
            f"{reference} --data DIR) and give that training's folder"
        )
    return found


def check_teacher(found: Weights | SharedWeights, images: ImageData) -> None:
    """Check that a teacher knows the classes of a training's images, and has not seen those that score it.

    Raises:
        InputError: if not.
    """
    if found.classes != images.classes:
        raise InputError(
            f"--teacher: it tells {len(found.classes)} classes apart ({_some(found.classes)}), but the images have "
            f"{len(images.classes)} ({_some(images.classes)}); train the teacher on these images "
            "first, or give --teacher none"
        )
    check_unseen(found.seen, images, "--teacher", "Take the split that the teacher was trained with")


def teacher_words(reference: str, found: Weights | SharedWeights) -> str:
    """Return which network teaches, in words."""
    if isinstance(found, SharedWeights):
        return f"the largest network of the supernet '{reference}'"
    cost = network_cost(found.network)
    return f"'{found.network.name}' of {found.origin}, {format_quantity(cost.macs)} MACs"


def teacher_of(config: TrainConfig, data: ImageData, device: torch.device) -> TeacherNetwork | None:
    """Return the teacher that a configuration names, on the device; ``None`` if it names none.

    Raises:
        InputError: if there are no such weights, or they do not fit the images.
    """
    if config.teacher is None:
        return None
    found = find_teacher(config.teacher)
    check_teacher(found, data)
    mean, std = (torch.tensor(values, device=device) for values in (found.mean, found.std))
    normalise = Normalisation(mean, 1 / std)
    if isinstance(found, Weights):
        network = make_module(found).to(device).to(memory_format=torch.channels_last).requires_grad_(False)
        if device.type == "cpu":
            use_small_maps(network)
        return TeacherNetwork(network, normalise, found.network.resolution)
    module = _largest(found, normalise, Images.load(data.train, device), config.recipe)
    return TeacherNetwork(module, normalise, found.form.resolution)


def _largest(found: SharedWeights, normalise: Normalisation, train: Images, recipe: Recipe) -> nn.Module:
    """Return the largest network of a supernet, with BatchNorm statistics from the training images."""
    device, resolution = train.labels.device, found.form.resolution

    def images(places: Tensor) -> Tensor:
        aspects = None if train.aspects is None else train.aspects[places]
        pixels = train.batch(places)[0]
        seen = normalise(as_scored(pixels, aspects, min(resolution, pixels.shape[1]), recipe))
        return functional.interpolate(seen, (resolution, resolution), mode="bilinear", antialias=True)

    supernet = found.supernet(load_space(found.reference)).to(device).requires_grad_(False)
    largest = Architecture(found.space, found.largest)
    return calibrated(supernet, largest, len(train), _CALIBRATED, images).eval()


def _some(classes: tuple[str, ...]) -> str:
    return ", ".join(classes[:3]) + (", ..." if len(classes) > 3 else "")
