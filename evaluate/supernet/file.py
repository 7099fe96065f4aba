"""A supernet's weights in one safetensors file, with what is needed to run its networks on images."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from nas.core.documents import parse_json
from nas.core.errors import InputError
from nas.core.files import expanded, write_bytes_whole
from nas.evaluate.data.identity import NOTHING_SEEN, DataIdentity, SeenImages
from nas.evaluate.data.pixels import PixelRange
from nas.evaluate.data.view import Interpolation
from nas.evaluate.supernet.form import Form
from nas.evaluate.supernet.supernet import Supernet
from nas.search_spaces.space import SearchSpace

SHARED = "supernet.safetensors"
ABOUT, FORMAT = "mnas", "mnas-supernet-1"


@dataclass(frozen=True)
class SharedWeights:
    """A supernet's weights.

    Attributes:
        tensors: the shared tensors by their keys.
        space: name of the space.
        gene_sizes: its gene sizes.
        classes: names of the classes.
        form: at which resolution its networks run.
        mean: mean of each channel, in 0..255, for the normalisation of images.
        std: standard deviation of each channel.
        crop_share: share of an image's shorter side that is seen when it is scored.
        interpolation: how images are resized.
        pixel_range: the range from which deep images are scaled to 0..255; ``None``: images have 8 bits.
        reference: the space as a configuration names it.
        largest: genes of the network with the most MACs inside the limits.
        limits: the lowest and the highest cost of its networks, by metric; ``None``: no highest.
        data: the settings of its images.
        images: identity of its images; ``None`` if it is not known.
        seen: sample of the images that it was trained on.
    """

    tensors: Mapping[str, Tensor]
    space: str
    gene_sizes: tuple[int, ...]
    classes: tuple[str, ...]
    form: Form
    mean: tuple[float, ...]
    std: tuple[float, ...]
    crop_share: float = 1.0
    interpolation: Interpolation = "bilinear"
    pixel_range: PixelRange | None = None
    reference: str = ""
    largest: tuple[int, ...] = ()
    limits: Mapping[str, tuple[float, float | None]] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    images: DataIdentity | None = None
    seen: SeenImages = NOTHING_SEEN

    def save(self, path: Path) -> None:
        """Write the file atomically.

        Raises:
            WorkError: if it cannot be written.
        """
        from safetensors.torch import save

        about = {"format": FORMAT, **{name: value for name, value in vars(self).items() if name != "tensors"}}
        about |= {"form": asdict(self.form), "pixel_range": self.pixel_range and asdict(self.pixel_range)}
        about |= {"images": self.images and self.images.as_dict(), "seen": self.seen.as_dict()}
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in self.tensors.items()}
        write_bytes_whole(path, save(tensors, {ABOUT: json.dumps(about)}))

    @classmethod
    def read(cls, path: Path, with_tensors: bool = True) -> SharedWeights:
        """Read a file that ``save`` wrote; its tensors are mapped from the file, so processes of a node share them.

        Args:
            path: the file.
            with_tensors: whether to read the tensors too.

        Raises:
            InputError: if it is not such a file.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(str(path), framework="pt") as file:
                about = parse_json((file.metadata() or {})[ABOUT], str(path))
                names = file.keys() if with_tensors else ()
                tensors = {name: file.get_tensor(name) for name in names}
            if about.pop("format") != FORMAT:
                raise ValueError("it is of another format")
            about |= {name: tuple(about[name]) for name in ("gene_sizes", "classes", "mean", "std", "largest")}
            about |= {"form": Form(**about["form"])}
            about |= {"pixel_range": PixelRange(**about["pixel_range"]) if about["pixel_range"] else None}
            about |= {"limits": {metric: tuple(ends) for metric, ends in about["limits"].items()}}
            about |= {"images": DataIdentity.read(about["images"], str(path)), "seen": SeenImages.read(about["seen"])}
            return cls(tensors, **about)
        except (OSError, SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(
                f"supernet: '{path}' is not a supernet's file ({type(error).__name__}: {error}); train one with: "
                "nas supernet train"
            ) from None

    def supernet(self, space: SearchSpace) -> Supernet:
        """Return the supernet.

        Raises:
            InputError: if it is of another space.
        """
        self.check_space(space)
        return Supernet(space, len(self.classes), self.tensors, self.form)

    def check_space(self, space: SearchSpace) -> None:
        """Check that the supernet is of a space.

        Raises:
            InputError: if it is of another one.
        """
        if (space.name, tuple(space.gene_sizes)) != (self.space, self.gene_sizes):
            raise InputError(
                f"supernet: it is of space '{self.space}' with {len(self.gene_sizes)} genes, but the space is "
                f"'{space.name}' with {len(space.gene_sizes)}; leave --space out"
            )


def supernet_file(reference: str) -> Path:
    """Return the file of a supernet, which is named by itself or by the folder of its training.

    Raises:
        InputError: if there is no such file.
    """
    path = expanded(reference)
    file = path / SHARED if path.is_dir() else path
    if not file.is_file():
        reason = f"holds no {SHARED}; its first epoch has not ended, or it is of another kind" if path.is_dir() else ""
        raise InputError(
            f"--supernet: expected the folder of nas supernet train, got '{reference}', which "
            f"{reason or 'does not exist'}"
        )
    return file
