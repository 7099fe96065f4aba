"""Class activation maps: the image regions that support a predicted class (Zhou et al. 2016; EfficientNet, Figure 7).

If global average pooling and one linear layer follow the last feature maps, a logit is exactly the mean of a map plus
a bias: ``logit_c = mean_xy sum_k w_ck f_k(x, y) + b_c``. If there is a hidden layer in between, Captum's Grad-CAM
(Selvaraju et al. 2017) is used instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from nas.core.errors import InputError, nearest_name
from nas.core.figures import new_figure, own_style, write_figure
from nas.core.files import expanded
from nas.evaluate.data.pixels import NeedsRange, open_upright, to_rgb, view_of
from nas.evaluate.data.view import View
from nas.search_spaces.module import NetworkModule
from nas.weights.file import Weights
from nas.weights.find import make_module

Pixels = NDArray[np.uint8]
Map = NDArray[np.float32]
_PANEL_INCHES = 3.2


@dataclass(frozen=True)
class ActivationMap:
    """The activation map of one class in one image, by one network.

    Attributes:
        network: name of the network.
        label: the class's number.
        name: the class's name.
        probability: probability that the network assigns to the class.
        values: ``(resolution, resolution)``; contribution of each pixel to the logit, up to a factor for Grad-CAM.
        pixels: ``(resolution, resolution, 3)``; the resized and cropped image, before normalisation.
        exact: ``True`` for a class activation map, ``False`` for Grad-CAM.
    """

    network: str
    label: int
    name: str
    probability: float
    values: Map
    pixels: Pixels
    exact: bool


def activation_map(weights: Weights, image: Image.Image, wanted: str | None = None) -> ActivationMap:
    """Return the activation map of a class in an image.

    Args:
        weights: weights and their network.
        image: image of any size and mode; it is resized and its centre is cropped, as when the network is scored.
        wanted: name or number of the class; ``None`` for the most probable class.

    Raises:
        InputError: if there is no such class, or the image is deep and the weights know no range for deep images.
    """
    module = make_module(weights)
    pixels = _look_at(image, weights)
    images = _normalise(pixels, weights)
    with torch.inference_mode():
        chances = module(images).softmax(1)[0]
    label = int(chances.argmax()) if wanted is None else _label(wanted, weights)
    exact = isinstance(module.hidden, nn.Identity)
    found = (class_map if exact else _grad_cam)(module, images, label).clone()
    size = pixels.shape[:2]
    values = nn.functional.interpolate(found[None, None], size=size, mode="bicubic", align_corners=False)[0, 0]
    name = weights.classes[label] if weights.classes else str(label)
    chance = float(chances[label])
    return ActivationMap(weights.network.name, label, name, chance, values.numpy(), pixels, exact)


def class_map(module: NetworkModule, images: Tensor, label: int) -> Tensor:
    """Return the map ``(h, w)``; its mean plus the classifier's bias is the logit of ``label``."""
    with torch.inference_mode():
        maps = module.stem(images)
        for stage in module.stages:
            maps = stage(maps)
        maps = module.head(maps)[0]
        return torch.einsum("k,khw->hw", module.classifier.weight[label], maps)


@own_style()
def draw_maps(rows: Sequence[Sequence[ActivationMap]], path: Path) -> None:
    """Draw images with their maps, a row for each image and a column for each network, as in EfficientNet's Figure 7.

    Args:
        rows: for each image, the maps of every network.
        path: a ``.png``, ``.svg`` or ``.pdf``.

    Raises:
        WorkError: if it cannot be written.
    """
    columns = 1 + len(rows[0])
    figure, axes = new_figure(len(rows), columns, size=(_PANEL_INCHES * columns, _PANEL_INCHES * len(rows) * 1.15))
    grid = np.asarray(axes).reshape(len(rows), columns)
    for line, maps in zip(grid, rows, strict=True):
        _show(line[0], maps[0].pixels, "the image")
        for one, found in zip(line[1:], maps, strict=True):
            kind = "" if found.exact else "\n(Grad-CAM)"
            _show(one, found.pixels, f"{found.network}\n{found.name}: {found.probability:.1%}{kind}")
            one.imshow(found.values.clip(min=0), cmap="inferno", alpha=0.55, vmin=0)
    write_figure(path, figure)


def open_image(path: Path) -> Image.Image:
    """Read an image in its own mode, rotated upright by its EXIF orientation.

    Raises:
        InputError: if it cannot be read.
    """
    try:
        return open_upright(expanded(path))
    except Exception as error:  # decoders raise anything on a damaged file
        reason = "there is no such file" if isinstance(error, FileNotFoundError) else "it is not an image, or damaged"
        raise InputError(f"--image: '{path}' cannot be read: {reason}") from None


def _look_at(image: Image.Image, weights: Weights) -> Pixels:
    """Return the resized centre crop of an image, at the resolution and crop share of the network's training."""
    try:
        rgb = to_rgb(image, weights.pixel_range)
    except NeedsRange as deep:
        raise InputError(
            f"--image: a deep image ({deep}), but {weights.origin or weights.network.name} was trained on images of 8 "
            "bits; convert it to 8 bits as those images were"
        ) from None
    except ValueError as error:
        raise InputError(f"--image: cannot be used: {error}") from None
    return view_of(rgb, View(weights.network.resolution, False, weights.crop_share, weights.interpolation))


def _normalise(pixels: Pixels, weights: Weights) -> Tensor:
    mean, std = torch.tensor(weights.mean), torch.tensor(weights.std)
    return ((torch.tensor(pixels).float() - mean) / std).permute(2, 0, 1)[None]


def _grad_cam(module: NetworkModule, images: Tensor, label: int) -> Tensor:
    from captum.attr import LayerGradCam

    layer = module.head if len(module.head) else module.stages[-1]
    for part in module.modules():
        if hasattr(part, "inplace"):
            setattr(part, "inplace", False)  # noqa: B010 (an in-place activation overwrites what Grad-CAM reads)
    attribution: Any = LayerGradCam(module, layer).attribute(images, target=label, relu_attributions=True)
    found: Tensor = attribution[0, 0].detach()
    return found


def _label(wanted: str, weights: Weights) -> int:
    if wanted in weights.classes:
        return weights.classes.index(wanted)
    if wanted.isdecimal() and int(wanted) < weights.network.classes:
        return int(wanted)
    raise InputError(
        f"--class: '{wanted}' is neither a class of {weights.network.name} nor a number below "
        f"{weights.network.classes}{nearest_name(wanted, weights.classes[:50])}"
    )


def _show(axes: Any, pixels: Pixels, title: str) -> None:
    axes.imshow(pixels)
    axes.set_title(title, fontsize=9)
    axes.set_axis_off()
