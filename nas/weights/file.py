"""Trained weights in one safetensors file, together with the stage table, the classes and the normalisation."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import torch
from torch import Tensor

from nas.core.documents import parse_json
from nas.core.errors import InputError
from nas.core.files import expanded, write_bytes_whole
from nas.evaluate.data.identity import NOTHING_SEEN, DataIdentity, SeenImages
from nas.evaluate.data.pixels import PixelRange
from nas.evaluate.data.settings import CROP_SHARE
from nas.evaluate.data.view import Interpolation
from nas.search_spaces.network import Network
from nas.search_spaces.yaml_format import network_from_dict, network_to_dict
from nas.weights.names import WEIGHTS

if TYPE_CHECKING:
    from nas.search_spaces.module import NetworkModule

RESULT = "result.json"
ABOUT, FORMAT = "mnas", "mnas-weights-1"
TORCHVISION = "torchvision"
NO_WEIGHTS = "none"  # value of --init and --teacher
_HEAD = ("classifier.weight", "classifier.bias")
_IMAGENET_MEAN = (123.675, 116.28, 103.53)
_IMAGENET_STD = (58.395, 57.12, 57.375)


@dataclass(frozen=True)
class Weights:
    """A network's weights.

    Attributes:
        network: stage table of the network.
        tensors: tensors by their name in ``NetworkModule``.
        classes: names of the classes; empty if they are not known.
        mean: mean of each channel, in 0..255, for the normalisation of images.
        std: standard deviation of each channel, in 0..255, for the normalisation of images.
        crop_share: share of an image's shorter side that the centre crop keeps.
        origin: where the weights come from, as text for messages.
        interpolation: how images are resized.
        pixel_range: the range from which deep images are scaled to 0..255; ``None``: images have 8 bits.
        images: identity of the images that they were trained on; ``None`` if it is not known.
        seen: sample of the images that they were trained on.
    """

    network: Network
    tensors: Mapping[str, Tensor]
    classes: tuple[str, ...]
    mean: tuple[float, ...] = _IMAGENET_MEAN
    std: tuple[float, ...] = _IMAGENET_STD
    crop_share: float = CROP_SHARE
    origin: str = ""
    interpolation: Interpolation = "bilinear"
    pixel_range: PixelRange | None = None
    images: DataIdentity | None = None
    seen: SeenImages = NOTHING_SEEN

    def save(self, path: Path) -> None:
        """Write a safetensors file atomically.

        Raises:
            WorkError: if it cannot be written.
        """
        write_bytes_whole(path, self.as_bytes())

    def as_bytes(self) -> bytes:
        """Return the content of the file; the same weights give the same bytes."""
        from safetensors.torch import save

        about = {
            "format": FORMAT,
            "network": network_to_dict(self.network),
            "classes": self.classes,
            "mean": self.mean,
            "std": self.std,
            "crop_share": self.crop_share,
            "interpolation": self.interpolation,
            "pixel_range": self.pixel_range and asdict(self.pixel_range),
            "images": self.images and self.images.as_dict(),
            "seen": self.seen.as_dict(),
        }
        metadata = {ABOUT: json.dumps(about)}  # one entry only: the order of several in the file would be random
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in self.tensors.items()}
        content: bytes = save(tensors, metadata)
        return content

    @classmethod
    def read(cls, path: Path) -> Weights:
        """Read a file that ``save`` wrote.

        Raises:
            InputError: if it is not such a file.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(str(path), framework="pt") as file:
                metadata = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
            about = parse_json(metadata[ABOUT], str(path))
            if about["format"] != FORMAT:
                raise ValueError(f"its format is {about['format']!r}, expected {FORMAT!r}")
            network = network_from_dict(about["network"], str(path))
            about.setdefault("std", about.get("deviation"))  # its name in files from before 0.1.0
            classes, mean, std = (tuple(about[name]) for name in ("classes", "mean", "std"))
            return cls(
                network,
                tensors,
                classes,
                mean,
                std,
                float(about["crop_share"]),
                str(path),
                _interpolation(about.get("interpolation", "bilinear")),
                PixelRange(**about["pixel_range"]) if about.get("pixel_range") else None,
                DataIdentity.read(about.get("images"), str(path)),
                SeenImages.read(about.get("seen")),
            )
        except (OSError, SafetensorError, ValueError, KeyError, TypeError, OverflowError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(
                f"weights: '{path}' is not a weights file of mnas ({type(error).__name__}: {error})"
            ) from None

    def into(self, module: NetworkModule, keep_head: bool = True) -> None:
        """Load the weights into a module.

        Args:
            module: a module with the same stages.
            keep_head: whether to load the classifier too; if not, the module keeps its own, as for other classes.

        Raises:
            InputError: if the weights belong to another network, naming the first tensor that differs.
        """
        own = module.state_dict()
        wanted = {name for name in own if keep_head or name not in _HEAD}
        for name in sorted(wanted | (self.tensors.keys() - set(_HEAD))):
            theirs, ours = _shape(self.tensors, name), _shape(own, name)
            if theirs != ours:
                raise InputError(
                    f"weights: {self.origin or 'these'} are of '{self.network.name}', another network: '{name}' is "
                    f"{theirs or 'absent'} there, but {ours or 'absent'} in this one"
                )
        module.load_state_dict({**own, **{name: self.tensors[name] for name in wanted}})


def _interpolation(value: Any) -> Interpolation:
    if value not in get_args(Interpolation):
        raise ValueError(f"interpolation: expected {' or '.join(get_args(Interpolation))}, got {value!r}")
    found: Interpolation = value
    return found


def layers_of(network: Network) -> tuple[object, ...]:
    """Return a signature of a network's layers.

    It ignores settings that do not change the meaning of the weights: resolution, classes, dropout, drop-connect and
    the settings of BatchNorm.
    """
    head = replace(network.head, dropout=0.0)
    plain = replace(network, resolution=224, classes=1000, drop_connect=0.0, head=head)
    return replace(plain, norm_epsilon=1e-3, norm_momentum=0.01).signature()


def find_weights(reference: str, network: Network) -> Weights:
    """Return the weights that a reference names.

    Args:
        reference: a ``.safetensors`` file, the folder of a training, or ``torchvision`` (downloaded if needed).
        network: the network that the weights are for; torchvision's weights are found by its name.

    Raises:
        InputError: if there are no such weights, or they belong to a network with other layers.
    """
    if reference == TORCHVISION:
        return _from_torchvision(network)
    path = expanded(reference)
    if path.is_dir():
        path = _trained_weights(path)
    elif not path.exists():
        raise InputError(
            f"weights (--init, --weights): expected a .safetensors file, a training's folder or '{TORCHVISION}', got "
            f"'{reference}', which does not exist"
        )
    found = Weights.read(path)
    if layers_of(found.network) != layers_of(network):
        raise InputError(
            f"weights: '{reference}' is of '{found.network.name}', a network with other layers than '{network.name}'"
        )
    return found


def _trained_weights(folder: Path) -> Path:
    """Return the file of the best weights so far in a training's folder.

    Raises:
        InputError: if there is no such file.
    """
    if not (folder / WEIGHTS).is_file():
        raise InputError(
            f"weights: '{folder}' holds no {WEIGHTS}: it is not a training's folder, or its first epoch has not ended; "
            "train with: nas train"
        )
    return folder / WEIGHTS


def with_norm_of(network: Network, weights: Weights) -> Network:
    """Return a network with the BatchNorm settings of the network that the weights belong to."""
    theirs = weights.network
    return replace(network, norm_epsilon=theirs.norm_epsilon, norm_momentum=theirs.norm_momentum)


def random_weights(network: Network, seed: int = 0) -> Weights:
    """Return the initial weights of a network for a seed."""
    from nas.search_spaces.module import build

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Weights(network, build(network).state_dict(), (), origin=f"initial weights, seed {seed}")


def _from_torchvision(network: Network) -> Weights:
    from nas.core.errors import WorkError
    from nas.weights.torchvision import from_torchvision, torchvision_network, torchvision_preprocessing

    theirs = torchvision_network(network.name)
    try:
        state: dict[str, Any] = from_torchvision(network.name).state_dict()
    except (OSError, RuntimeError) as error:
        raise WorkError(
            f"weights: torchvision's weights of '{network.name}' could not be downloaded "
            f"({str(error).splitlines()[0]}); download them on a machine with an internet connection, or give a file"
        ) from None
    seen = torchvision_preprocessing(network.name)
    return Weights(theirs, state, imagenet_classes(), origin="torchvision's ImageNet weights", **seen)


def imagenet_classes() -> tuple[str, ...]:
    """Return the names of ImageNet's thousand classes, in the order of torchvision's labels."""
    from torchvision.models._meta import _IMAGENET_CATEGORIES

    return tuple(_IMAGENET_CATEGORIES)


def _shape(tensors: Mapping[str, Tensor], name: str) -> tuple[int, ...] | None:
    return tuple(tensors[name].shape) if name in tensors else None
