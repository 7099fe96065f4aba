from __future__ import annotations

import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from nas.core.errors import InputError
from nas.evaluate.data.image_data import ImageData
from nas.evaluate.data.image_files import open_image_folder
from nas.evaluate.data.load import load_data
from nas.evaluate.data.pixels import PixelRange, decode_image
from nas.evaluate.data.settings import DataSettings
from nas.evaluate.data.view import View
from tests.conftest import write_images


def load(source: Path, **settings: Any) -> ImageData:
    return load_data(DataSettings(source=str(source), resolution=8, **settings))


def sizes(data: ImageData) -> tuple[int, int, int]:
    return len(data.train.labels), len(data.validation.labels), len(data.test.labels)


def test_digits_are_real_split_by_class_and_seeded() -> None:
    data = load_data(DataSettings())
    assert sum(sizes(data)) == 1797
    assert data.train.images.shape[1:] == (32, 32, 3) and data.train.images.dtype == np.uint8
    assert not data.mirrored
    for part in (data.train, data.validation, data.test):
        assert np.bincount(part.labels).min() > 0.08 * len(part.labels)
    again, other = load_data(DataSettings()), load_data(DataSettings(split_seed=1))
    assert np.array_equal(data.train.images, again.train.images)
    assert not np.array_equal(data.test.images, other.test.images)
    rows = [image.tobytes() for part in (data.train, data.validation, data.test) for image in part.images]
    assert len(set(rows)) == 1797  # no image is in two parts


def test_one_folder_of_classes_is_split_in_three(image_folder: Path) -> None:
    data = load(image_folder)
    assert data.classes == ("blue", "green", "red")
    assert sizes(data) == (36, 12, 12)
    for part in (data.train, data.validation, data.test):
        for image, label in zip(part.images, part.labels, strict=True):
            assert ("red", "green", "blue")[image.mean((0, 1)).argmax()] == data.classes[label]


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (("train", "test"), (48, 12, 60)),
        (("train", "val"), (48, 12, 60)),
        (("Train", "Validation", "TEST"), (60, 60, 60)),
    ],
)
def test_folders_with_parts(
    tmp_path: Path, image_folder: Path, parts: tuple[str, ...], expected: tuple[int, ...]
) -> None:
    for part in parts:
        shutil.copytree(image_folder, tmp_path / "data" / part)
    assert sizes(load(tmp_path / "data")) == expected


def test_a_wrapping_folder_is_stepped_through(tmp_path: Path, image_folder: Path) -> None:
    shutil.copytree(image_folder, tmp_path / "data" / "outer" / "inner")
    (tmp_path / "data" / "README.txt").write_text("not an image")
    assert load(tmp_path / "data").classes == ("blue", "green", "red")
    shutil.copytree(image_folder, tmp_path / "only" / "train")
    assert sizes(load(tmp_path / "only")) == (36, 12, 12)


def test_a_zip_is_read_like_its_folder(tmp_path: Path, image_folder: Path) -> None:
    archive = Path(shutil.make_archive(str(tmp_path / "data"), "zip", image_folder.parent, image_folder.name))
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr("__MACOSX/images/red/._000.png", b"junk")
    assert np.array_equal(load(archive).train.images, load(image_folder).train.images)


def test_a_class_named_train_is_a_class(tmp_path: Path) -> None:
    write_images(tmp_path / "vehicles", {"train": 6, "car": 6})
    assert load(tmp_path / "vehicles").classes == ("car", "train")


def test_corrupt_images_are_left_out_and_listed(tmp_path: Path) -> None:
    write_images(tmp_path / "data", {"a": 100, "b": 101})
    (tmp_path / "data" / "a" / "broken.jpg").write_bytes(b"\xff\xd8 this is no JPEG")
    whole = (tmp_path / "data" / "b" / "000.png").read_bytes()
    (tmp_path / "data" / "b" / "000.png").write_bytes(whole[: len(whole) // 2])
    data = load(tmp_path / "data")
    assert sum(sizes(data)) == 200
    assert [line.split(":")[0] for line in data.skipped] == ["a/broken.jpg", "b/000.png"]


def test_more_than_one_percent_corrupt_is_an_error(image_folder: Path) -> None:
    (image_folder / "red" / "000.png").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"1 of 60 images .* cannot be read, more than 1%: red/000.png"):
        load(image_folder)


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({"only": 5}, r"expected at least 2 classes in .*, found 1 \('only'\)"),
        ({"a": 5, "b": 2}, "class 'b' has 2 images; expected at least 3"),
    ],
)
def test_too_little_to_learn_from(tmp_path: Path, counts: dict[str, int], message: str) -> None:
    write_images(tmp_path / "data", counts)
    with pytest.raises(InputError, match=message):
        load(tmp_path / "data")


def test_folders_that_cannot_be_used(tmp_path: Path, image_folder: Path) -> None:
    with pytest.raises(InputError, match="does not exist; expected a folder or zip"):
        load(tmp_path / "absent")
    (tmp_path / "file.txt").write_text("x")
    with pytest.raises(InputError, match="neither a folder nor a zip"):
        load(tmp_path / "file.txt")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no images"):
        load(tmp_path / "empty")
    (image_folder / "yellow").mkdir()
    with pytest.raises(InputError, match="class folder 'yellow' .* holds no images"):
        load(image_folder)
    (image_folder / "yellow").rmdir()
    shutil.copy(image_folder / "red" / "000.png", image_folder / "stray.png")
    with pytest.raises(InputError, match="1 images outside a class folder, for instance 'stray.png'"):
        load(image_folder)


def test_parts_must_agree(tmp_path: Path, image_folder: Path) -> None:
    for part in ("train", "test"):
        shutil.copytree(image_folder, tmp_path / "data" / part)
    (tmp_path / "data" / "test" / "red").rename(tmp_path / "data" / "test" / "rouge")
    with pytest.raises(InputError, match="class 'rouge' in test but not in train"):
        load(tmp_path / "data")
    shutil.rmtree(tmp_path / "data" / "train")
    shutil.copytree(image_folder, tmp_path / "data" / "val")
    with pytest.raises(InputError, match="has test and val but no train"):
        load(tmp_path / "data")


def test_a_folder_beside_the_parts_is_no_class(tmp_path: Path, image_folder: Path) -> None:
    for part in ("train", "test", "extra"):
        shutil.copytree(image_folder, tmp_path / "data" / part)
    with pytest.raises(InputError, match="holds 'extra' beside train"):
        load(tmp_path / "data")


def test_large_shares_leave_something_to_train_on(tmp_path: Path) -> None:
    write_images(tmp_path / "data", {"a": 4, "b": 4})
    assert sizes(load(tmp_path / "data", validation=0.49, test=0.49)) == (4, 2, 2)


def test_a_fraction_keeps_every_class(image_folder: Path) -> None:
    data = load(image_folder, fraction=0.25)
    assert np.bincount(data.train.labels).tolist() == [3, 3, 3]
    assert sizes(data)[1:] == (12, 12)


@pytest.mark.parametrize("settings", [{"validation": 0.0}, {"test": 0.6}, {"fraction": 0.0}, {"resolution": 0}])
def test_impossible_settings_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match=next(iter(settings))):
        DataSettings(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "CMYK", "I;16", "1"])
def test_every_colour_mode_becomes_rgb(mode: str, tmp_path: Path) -> None:
    path = tmp_path / ("image.tif" if mode == "CMYK" else "image.png")
    if mode == "I;16":
        Image.fromarray(np.full((6, 9), 40_000, dtype=np.uint16)).save(path)
    else:
        Image.new("RGB", (9, 6), (200, 200, 200)).convert(mode).save(path)
    pixels = decode_image(path.read_bytes(), View(4), PixelRange(0, 2**16 - 1)).pixels
    assert pixels.shape == (4, 4, 3) and pixels.dtype == np.uint8
    assert pixels.mean() > 140


def test_images_are_turned_upright_and_cropped_in_the_middle(tmp_path: Path) -> None:
    pixels = np.zeros((10, 30, 3), dtype=np.uint8)
    pixels[:, 10:20] = 255
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    assert decode_image((tmp_path / "wide.png").read_bytes(), View(10)).pixels.min() == 255
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    left_dark = np.zeros((16, 16, 3), dtype=np.uint8)
    left_dark[:, 8:] = 255
    Image.fromarray(left_dark).save(tmp_path / "turned.png", exif=exif)
    upright = decode_image((tmp_path / "turned.png").read_bytes(), View(16)).pixels
    assert upright[:4].mean() < 10 and upright[-4:].mean() > 245


def test_layout_lists_every_file_once(image_folder: Path) -> None:
    folder = open_image_folder(image_folder)
    assert len({name for name, _ in folder.parts["all"]}) == 60


CIFAR = Path(__file__).resolve().parents[4] / "shared" / "data" / "cifar10.zip"


@pytest.mark.slow
@pytest.mark.skipif(not CIFAR.exists(), reason="the CIFAR-10 archive is not on this machine")
def test_cifar10_as_a_zip_of_an_image_folder() -> None:
    data = load_data(DataSettings(source=str(CIFAR), resolution=32, fraction=0.01))
    assert len(data.classes) == 10 and not data.skipped
    assert sizes(data) == (400, 10_000, 10_000)
