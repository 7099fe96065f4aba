"""Deep images are scaled by one range, that of their data set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nas.core.errors import InputError
from nas.evaluate.data.load import find_source, load_data, prepare
from nas.evaluate.data.pixels import NeedsRange, PixelRange, decode_image
from nas.evaluate.data.settings import DataSettings
from nas.evaluate.data.view import View


def write_deep(root: Path, top: float, dtype: str, count: int = 20) -> None:
    generator = np.random.default_rng(0)
    for name, level in (("dark", 0.3), ("light", 0.8)):
        (root / name).mkdir(parents=True)
        for index in range(count):
            values = (level + 0.1 * generator.random((12, 12))) * top
            Image.fromarray(values.astype(dtype)).save(root / name / f"{index}.tif")


@pytest.mark.parametrize(("top", "dtype"), [(1.0, "float32"), (255, "int32"), (4095, "uint16"), (65535, "uint16")])
def test_a_data_set_keeps_its_levels(tmp_path: Path, top: float, dtype: str) -> None:
    write_deep(tmp_path / "set", top, dtype)
    data = load_data(DataSettings(source=str(tmp_path / "set"), resolution=12))
    assert data.pixel_range is not None and not data.skipped
    assert data.pixel_range.low == pytest.approx(0.3 * top, rel=0.05)
    assert data.pixel_range.high == pytest.approx(0.9 * top, rel=0.05)
    dark, light = (data.train.images[data.train.labels == label] for label in (0, 1))
    assert dark.max() < 60 and light.min() > 190
    assert len(np.unique(data.train.images)) > 40


def test_modes_and_range_are_stored(tmp_path: Path) -> None:
    write_deep(tmp_path / "set", 4095, "uint16")
    Image.new("RGB", (9, 9), (10, 200, 30)).save(tmp_path / "set" / "dark" / "colour.png")
    prepared, _ = prepare(find_source(str(tmp_path / "set")), 8)
    assert prepared.modes == {"I;16": 40, "RGB": 1}
    assert prepared.pixel_range is not None and prepared.pixel_range.high <= 4095
    assert prepared.images["all"].open()[20].tolist()[0][0] == [10, 200, 30]  # images of 8 bits are not scaled


def test_images_of_8_bits_have_no_range(image_folder: Path) -> None:
    assert load_data(DataSettings(source=str(image_folder), resolution=8)).pixel_range is None


def test_values_that_are_not_finite_are_unreadable(tmp_path: Path) -> None:
    write_deep(tmp_path / "set", 1.0, "float32", 60)
    Image.fromarray(np.full((4, 4), np.nan, dtype="float32")).save(tmp_path / "set" / "dark" / "nan.tif")
    data = load_data(DataSettings(source=str(tmp_path / "set"), resolution=8))
    assert data.skipped == ("dark/nan.tif: it holds a value that is not finite",)


def test_a_deep_image_needs_a_range(tmp_path: Path) -> None:
    path = tmp_path / "deep.png"
    Image.fromarray(np.array([[0, 40_000]], dtype=np.uint16)).save(path)
    with pytest.raises(NeedsRange, match="from 0 to 40000") as caught:
        decode_image(path.read_bytes(), View(2))
    assert caught.value.found == PixelRange(0, 40_000)
    assert caught.value.found.to_bytes(np.array([-5, 0, 20_000, 50_000], dtype=np.float32)).tolist() == [0, 0, 128, 255]


def test_other_programs_are_never_started(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    with pytest.raises(InputError, match=r"found 1 \('a'\)"):
        load_data(DataSettings(source=str(tmp_path), resolution=8))
    with pytest.raises(Exception, match="cannot identify image file"):
        decode_image((tmp_path / "a" / "x.png").read_bytes(), View(8))


@pytest.mark.parametrize("mode", ["LA", "PA", "P", "CMYK", "YCbCr"])
def test_modes_of_8_bits_keep_their_values(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("x.tif" if mode in ("CMYK", "YCbCr") else "x.png")
    source = Image.new("RGB", (6, 6), (90, 90, 90))
    image = source.convert("L").convert("LA") if mode == "LA" else source.convert("P" if mode == "PA" else mode)
    image.save(path)
    assert abs(int(decode_image(path.read_bytes(), View(6)).pixels.mean()) - 90) <= 2


def test_only_the_first_frame_is_read(tmp_path: Path) -> None:
    frames = [Image.new("L", (6, 6), level) for level in (40, 200)]
    frames[0].save(tmp_path / "x.gif", save_all=True, append_images=frames[1:])
    assert abs(int(decode_image((tmp_path / "x.gif").read_bytes(), View(6)).pixels.mean()) - 40) <= 2
