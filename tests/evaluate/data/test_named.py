"""Named data sets are read from small files in torchvision's own layouts; nothing is downloaded."""

from __future__ import annotations

import gzip
import json
import pickle
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torchvision import datasets

from nas.core.errors import InputError, WorkError
from nas.evaluate.data.load import find_source, load_data, prepare
from nas.evaluate.data.named import NAMED, open_named
from nas.evaluate.data.settings import DataSettings
from tests.conftest import write_images

Write = Callable[[Path, pytest.MonkeyPatch], None]
GENERATOR = np.random.default_rng(0)


def photo(path: Path, shade: int = 128) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (24, 20), (shade, shade, shade)).save(path)


def cifar(name: str, labels: str, names: str) -> Write:
    def write(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        kind = getattr(datasets, name)
        base = folder / kind.base_folder
        base.mkdir(parents=True)
        for file, _ in kind.train_list + kind.test_list:
            pixels = GENERATOR.integers(0, 255, (20, 3072), dtype=np.uint8)
            (base / file).write_bytes(pickle.dumps({"data": pixels, labels: [0, 1] * 10}, protocol=2))
        listed = {names: ["cat", "dog"]}
        (base / kind.meta["filename"]).write_bytes(pickle.dumps(listed, protocol=2))
        monkeypatch.setattr(datasets.CIFAR10, "_check_integrity", lambda self: True)
        monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda *_: True)

    return write


def svhn(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from scipy.io import savemat

    folder.mkdir(parents=True)
    for part in ("train", "test"):
        pixels = GENERATOR.integers(0, 255, (32, 32, 3, 20), dtype=np.uint8)
        savemat(folder / f"{part}_32x32.mat", {"X": pixels, "y": np.array([[10], [1]] * 10)})
    monkeypatch.setattr(datasets.SVHN, "_check_integrity", lambda self: True)


def fashion(folder: Path, _: pytest.MonkeyPatch) -> None:
    raw = folder / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for part in ("train", "t10k"):
        pixels = GENERATOR.integers(0, 255, (20, 28, 28), dtype=np.uint8)
        (raw / f"{part}-images-idx3-ubyte").write_bytes(struct.pack(">IIII", 2051, 20, 28, 28) + pixels.tobytes())
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">II", 2049, 20) + bytes([0, 1] * 10))
        for name in (f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte"):
            (raw / f"{name}.gz").write_bytes(gzip.compress((raw / name).read_bytes()))


def imagenet(folder: Path, _: pytest.MonkeyPatch) -> None:
    import torch

    for part in ("train", "val"):
        for wnid in ("n01", "n02"):
            for index in range(8):
                photo(folder / part / wnid / f"{index}.JPEG")
    torch.save(({"n01": ("tench", "Tinca"), "n02": ("goldfish",)}, ["n01", "n02"]), folder / "meta.bin")


def flowers(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from scipy.io import savemat

    base = folder / "flowers-102"
    for index in range(1, 25):
        photo(base / "jpg" / f"image_{index:05d}.jpg")
    savemat(base / "imagelabels.mat", {"labels": np.array([1, 2] * 12)})
    savemat(base / "setid.mat", {"trnid": range(1, 9), "valid": range(9, 17), "tstid": range(17, 25)})
    monkeypatch.setattr(datasets.Flowers102, "_check_integrity", lambda self: True)


def food(folder: Path, _: pytest.MonkeyPatch) -> None:
    base = folder / "food-101"
    (base / "meta").mkdir(parents=True)
    for part in ("train", "test"):
        listing = {dish: [f"{dish}/{part}{index}" for index in range(8)] for dish in ("pie", "soup")}
        (base / "meta" / f"{part}.json").write_text(json.dumps(listing))
        for names in listing.values():
            for name in names:
                photo(base / "images" / f"{name}.jpg")


def pets(folder: Path, _: pytest.MonkeyPatch) -> None:
    base = folder / "oxford-iiit-pet"
    (base / "annotations").mkdir(parents=True)
    for part in ("trainval", "test"):
        lines = []
        for breed, label in (("Abyssinian", 1), ("beagle", 2)):
            for index in range(8):
                photo(base / "images" / f"{breed}_{part}{index}.jpg")
                lines.append(f"{breed}_{part}{index} {label} 1 1")
        (base / "annotations" / f"{part}.txt").write_text("\n".join(lines))


def cars(folder: Path, _: pytest.MonkeyPatch) -> None:
    from scipy.io import savemat

    base = folder / "stanford_cars"
    (base / "devkit").mkdir(parents=True)
    savemat(base / "devkit" / "cars_meta.mat", {"class_names": np.array(["AM Hummer", "Audi S4"], dtype=object)})
    for part, file in (("train", "devkit/cars_train_annos.mat"), ("test", "cars_test_annos_withlabels.mat")):
        rows = [(f"{index:05}.jpg", 1 + index % 2) for index in range(16)]
        savemat(base / file, {"annotations": np.array(rows, dtype=[("fname", object), ("class", object)])})
        for name, _label in rows:
            photo(base / f"cars_{part}" / name)


def aircraft(folder: Path, _: pytest.MonkeyPatch) -> None:
    base = folder / "fgvc-aircraft-2013b" / "data"
    (base / "images").mkdir(parents=True)
    (base / "variants.txt").write_text("A320\n707\n")
    for place, part in enumerate(("train", "val", "test")):
        names = [f"{place}{index:04}" for index in range(8)]
        lines = [f"{name} {'A320' if index % 2 else '707'}" for index, name in enumerate(names)]
        (base / f"images_variant_{part}.txt").write_text("\n".join(lines))
        for name in names:
            photo(base / "images" / f"{name}.jpg")


def birdsnap(folder: Path, _: pytest.MonkeyPatch) -> None:
    for part in ("train", "test"):
        write_images(folder / part, {"owl": 8, "tit": 8})


LAYOUTS: dict[str, tuple[Write, tuple[str, ...], tuple[int, ...]]] = {
    "cifar10": (cifar("CIFAR10", "labels", "label_names"), ("cat", "dog"), (80, 20, 20)),
    "cifar100": (cifar("CIFAR100", "fine_labels", "fine_label_names"), ("cat", "dog"), (16, 4, 20)),
    "svhn": (svhn, ("0", "1"), (16, 4, 20)),
    "fashion-mnist": (fashion, ("0", "1"), (16, 4, 20)),
    "imagenet": (imagenet, ("tench", "goldfish"), (12, 4, 16)),
    "flowers102": (flowers, ("0", "1"), (8, 8, 8)),
    "food101": (food, ("pie", "soup"), (12, 4, 16)),
    "oxford-pets": (pets, ("Abyssinian", "Beagle"), (12, 4, 16)),
    "stanford-cars": (cars, ("AM Hummer", "Audi S4"), (12, 4, 16)),
    "fgvc-aircraft": (aircraft, ("A320", "707"), (8, 8, 8)),
    "birdsnap": (birdsnap, ("owl", "tit"), (12, 4, 16)),
}


@pytest.fixture
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NAS_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("NAS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "data"


def test_every_name_has_a_layout_here() -> None:
    assert set(LAYOUTS) == set(NAMED)


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_named_data_set_is_read_from_its_own_layout(
    name: str, own_folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, classes, sizes = LAYOUTS[name]
    write(own_folders / name, monkeypatch)
    data = load_data(DataSettings(source=name, resolution=16))
    assert data.classes == classes and not data.skipped
    assert tuple(len(part.labels) for part in (data.train, data.validation, data.test)) == sizes
    assert data.train.images.shape[1:] == (16, 16, 3) and data.train.images.max() > 0
    assert data.mirrored == (name != "svhn")


@pytest.mark.parametrize("name", [name for name in LAYOUTS if name != "birdsnap"])
def test_what_is_not_there_is_told_with_what_to_do(name: str, own_folders: Path) -> None:
    way = f"nas data prepare {name} --download" if NAMED[name].downloads else "put "
    with pytest.raises(InputError, match=rf"'{name}' is missing or incomplete in .*{way}"):
        open_named(name)
    (own_folders / name).mkdir(parents=True)  # an empty folder is no data set either
    with pytest.raises(InputError, match=rf"'{name}' is missing or incomplete in"):
        open_named(name)


@pytest.mark.usefixtures("own_folders")
def test_nothing_is_downloaded_unless_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []

    class Remote:
        data, targets, classes = np.zeros((20, 8, 8, 3), np.uint8), [0, 1] * 10, ("a", "b")

        def __init__(self, root: str, train: bool, download: bool = False) -> None:  # noqa: ARG002
            asked.append(download)
            if not (Path(root) / "here").exists() and not download:
                raise RuntimeError("Dataset not found or corrupted")
            (Path(root) / "here").touch()

    monkeypatch.setattr(datasets, "CIFAR10", Remote)
    with pytest.raises(InputError, match="--download"):
        find_source("cifar10")
    assert asked == []
    prepared, fresh = prepare(find_source("cifar10", download=True), 8)
    assert asked == [True, True] and fresh and prepared.classes == ("a", "b")
    asked.clear()
    assert len(load_data(DataSettings(source="cifar10", resolution=8)).train.labels) == 16
    assert asked == []  # what is prepared needs no look at its source


@pytest.mark.usefixtures("own_folders")
def test_a_download_that_fails_is_no_mistake_of_the_input(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(datasets, "SVHN", fail)
    with pytest.raises(WorkError, match="'svhn' could not be downloaded to .*no route to host"):
        open_named("svhn", download=True)
    with pytest.raises(InputError, match="'imagenet' cannot be downloaded; put ILSVRC2012"):
        open_named("imagenet", download=True)
    with pytest.raises(InputError, match="'nowhere' does not exist; expected a folder or zip"):
        find_source("nowhere")
