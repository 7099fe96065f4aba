"""Data sets by name, read by torchvision from its own layout and downloaded only on request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.core.errors import InputError, WorkError
from nas.evaluate.data.folders import data_folder
from nas.evaluate.data.pixels import Bytes
from nas.evaluate.data.source import Source, from_arrays, from_files, from_folder

Labels = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class NamedData:
    """A data set that is known by name.

    Attributes:
        kind: name of torchvision's class; empty if there is none and the data set is an image folder.
        parts: argument and value that select torchvision's split, for each of our splits.
        files: files that the user has to put into the data set's folder if ``nas data`` does not download it.
        summary: number of classes and of images, and the image size.
        mirrored: whether a mirrored image keeps its class.
        downloads: whether torchvision can download it.
    """

    kind: str
    parts: dict[str, dict[str, Any]]
    files: str
    summary: str
    mirrored: bool = True
    downloads: bool = True


def _split(**names: str) -> dict[str, dict[str, Any]]:
    return {part: {"split": name} for part, name in names.items()}


_TRAIN_FLAG: dict[str, dict[str, Any]] = {"train": {"train": True}, "test": {"train": False}}

NAMED: dict[str, NamedData] = {
    "cifar10": NamedData("CIFAR10", _TRAIN_FLAG, "cifar-10-batches-py/", "10 classes, 50,000 + 10,000 images of 32 px"),
    "cifar100": NamedData("CIFAR100", _TRAIN_FLAG, "cifar-100-python/", "100 classes, 50,000 + 10,000 images of 32 px"),
    "svhn": NamedData(
        "SVHN",
        _split(train="train", test="test"),
        "{train,test}_32x32.mat",
        "10 digits of house numbers, 73,257 + 26,032 images of 32 px",
        mirrored=False,
    ),
    "fashion-mnist": NamedData(
        "FashionMNIST", _TRAIN_FLAG, "FashionMNIST/raw/", "10 classes, 60,000 + 10,000 grey images of 28 px"
    ),
    "imagenet": NamedData(
        "ImageNet",
        _split(train="train", val="val"),
        "ILSVRC2012_devkit_t12.tar.gz, ILSVRC2012_img_{train,val}.tar",
        "1,000 classes, 1,281,167 + 50,000 photographs",
        downloads=False,
    ),
    "flowers102": NamedData(
        "Flowers102",
        _split(train="train", val="val", test="test"),
        "flowers-102/",
        "102 flowers, 1,020 + 1,020 + 6,149 photographs",
    ),
    "food101": NamedData(
        "Food101", _split(train="train", test="test"), "food-101/", "101 dishes, 75,750 + 25,250 photographs"
    ),
    "oxford-pets": NamedData(
        "OxfordIIITPet",
        _split(train="trainval", test="test"),
        "oxford-iiit-pet/",
        "37 breeds, 3,680 + 3,669 photographs",
    ),
    "stanford-cars": NamedData(
        "StanfordCars",
        _split(train="train", test="test"),
        "stanford_cars/",
        "196 cars, 8,144 + 8,041 photographs",
        downloads=False,
    ),
    "fgvc-aircraft": NamedData(
        "FGVCAircraft",
        _split(train="train", val="val", test="test"),
        "fgvc-aircraft-2013b/",
        "100 aircraft, 3,334 + 3,333 + 3,333 photographs",
    ),
    "birdsnap": NamedData(
        "", {}, "{train,test}/CLASS/*.jpg", "500 birds, about 50,000 photographs; an image folder", downloads=False
    ),
}


def open_named(name: str, root: Path | None = None, download: bool = False) -> Source:
    """Open a data set by name.

    Args:
        name: a key of ``NAMED``.
        root: the folder that holds data sets; if unset, ``data_folder()``.
        download: whether to download missing files; torchvision checks their MD5 sums.

    Raises:
        InputError: if the data set is missing or incomplete, or torchvision cannot download it.
        WorkError: if the download fails.
    """
    known = NAMED[name]
    folder = (root or data_folder()) / name
    if download and not known.downloads:
        raise InputError(f"data: '{name}' cannot be downloaded; put {known.files} into '{folder}'")
    if not known.kind:
        _check_there(name, folder)
        return from_folder(folder)
    datasets = {part: _open_part(name, folder, choice, download) for part, choice in known.parts.items()}
    first = next(iter(datasets.values()))
    if hasattr(first, "data"):
        pixels = {part: _pixels(dataset) for part, dataset in datasets.items()}
        return from_arrays(name, _class_names(first, pixels), pixels, known.mirrored, str(folder))
    files = {part: _files(dataset) for part, dataset in datasets.items()}
    return from_files(name, _class_names(first, files), files, known.mirrored)


def _open_part(name: str, folder: Path, choice: dict[str, Any], download: bool) -> Any:
    from torchvision import datasets

    known = NAMED[name]
    kind: Callable[..., Any] = getattr(datasets, known.kind)
    options = {"download": True} if download else {}
    if download:
        folder.mkdir(parents=True, exist_ok=True)
    else:
        _check_there(name, folder)
    try:
        return kind(str(folder), **choice, **options)
    except OSError as error:  # the network's errors are OSErrors too
        if download:
            raise WorkError(f"data: '{name}' could not be downloaded to '{folder}': {error}") from None
        raise InputError(f"{_not_there(name, folder)} ({error})") from None
    except Exception as error:
        raise InputError(f"{_not_there(name, folder)} ({type(error).__name__}: {error})") from None


def _check_there(name: str, folder: Path) -> None:
    if not folder.is_dir():
        raise InputError(_not_there(name, folder))


def _not_there(name: str, folder: Path) -> str:
    known = NAMED[name]
    fetch = f"download it with: nas data prepare {name} --download; or put" if known.downloads else "put"
    return (
        f"data: '{name}' is missing or incomplete in '{folder}'; {fetch} {known.files} there (the environment "
        "variable NAS_DATA names the folder that holds data sets)"
    )


def _pixels(dataset: Any) -> tuple[Bytes, Labels]:
    """Return the images and labels of a data set that torchvision holds in memory."""
    labels = dataset.labels if hasattr(dataset, "labels") else dataset.targets
    pixels = np.asarray(dataset.data)
    if pixels.ndim == 4 and pixels.shape[1] == 3:  # SVHN keeps channels first
        pixels = pixels.transpose(0, 2, 3, 1)
    return pixels, np.asarray(labels, dtype=np.int64)


def _files(dataset: Any) -> tuple[list[Path], Labels]:
    """Return the files and labels of a data set, without decoding images."""
    if hasattr(dataset, "samples"):
        pairs = dataset.samples
    elif hasattr(dataset, "_samples"):
        pairs = dataset._samples
    else:
        files = dataset._images if hasattr(dataset, "_images") else dataset._image_files
        pairs = list(zip(files, dataset._labels, strict=True))
    return [Path(file) for file, _ in pairs], np.array([label for _, label in pairs], dtype=np.int64)


def _class_names(dataset: Any, parts: Mapping[str, tuple[object, Labels]]) -> tuple[str, ...]:
    """Return torchvision's names of the classes, or their numbers if it has none."""
    count = max(int(labels.max()) for _, labels in parts.values()) + 1
    names = [name if isinstance(name, str) else name[0] for name in getattr(dataset, "classes", [])]
    return tuple(names) if len(set(names)) == count else tuple(str(label) for label in range(count))
