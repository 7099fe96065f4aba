"""Images are decoded once, whole or not at all, and every process maps the same file."""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nas.core.errors import DataGone, InputError, WorkError
from nas.evaluate.data import writing
from nas.evaluate.data.image_data import ImageData
from nas.evaluate.data.load import find_source, load_data, prepare, prepared_path
from nas.evaluate.data.prepared import MappedImages, damaged, open_prepared
from nas.evaluate.data.settings import DataSettings
from nas.evaluate.data.source import Source, digits
from nas.evaluate.data.view import View
from tests.conftest import write_images


@pytest.fixture(autouse=True)
def own_cache_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NAS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def load(folder: Path, **settings: object) -> ImageData:
    return load_data(DataSettings(source=str(folder), resolution=8, **settings))  # type: ignore[arg-type]


def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count what is decoded from here on."""
    counts: list[int] = []
    original = writing.write_prepared

    def counting(source, rows, *rest):  # type: ignore[no-untyped-def]
        counts.append(sum(len(own) for own in rows.values()))
        return original(source, rows, *rest)

    monkeypatch.setattr("nas.evaluate.data.load.write_prepared", counting)
    return counts


def test_images_are_decoded_once(image_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = decoded(monkeypatch)
    first = load(image_folder)
    again, other_seed = load(image_folder), load(image_folder, split_seed=1)
    assert counts == [60]
    assert np.array_equal(first.train.images, again.train.images)
    assert not np.array_equal(first.train.rows, other_seed.train.rows)


def test_only_the_chosen_fraction_is_decoded_and_the_split_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_images(tmp_path / "data" / "train", {"a": 40, "b": 40})
    write_images(tmp_path / "data" / "test", {"a": 5, "b": 5})
    counts = decoded(monkeypatch)
    part = load(tmp_path / "data", fraction=0.25)
    assert counts == [16 + 16 + 10] and len(part.train.labels) == 16
    prepare(find_source(str(tmp_path / "data")), 8)
    whole = load(tmp_path / "data", fraction=0.25)
    assert counts == [42, 90]
    for name in ("train", "validation", "test"):
        assert np.array_equal(getattr(part, name).images, getattr(whole, name).images)


def test_an_image_that_changes_is_decoded_again(image_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = decoded(monkeypatch)
    before = load(image_folder)
    mapped = before.train.array
    Image.new("RGB", (9, 9), (1, 2, 3)).save(image_folder / "red" / "000.png")
    after = load(image_folder)
    assert counts == [60, 60]
    assert (after.train.array == (1, 2, 3)).all((1, 2, 3)).sum() == 1
    assert not (mapped == (1, 2, 3)).all((1, 2, 3)).any()  # what is mapped stays as it was


def test_damage_is_found_and_mended(image_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = decoded(monkeypatch)
    load(image_folder)
    folder = prepared_path(str(image_folder.resolve()), View(8))
    file = folder / "all.images.npy"
    data = bytearray(file.read_bytes())
    data[-1] ^= 255
    file.write_bytes(bytes(data))
    assert damaged(open_prepared(folder)) == ["all.images.npy"]
    load(image_folder)
    assert counts == [60, 60] and not damaged(open_prepared(folder))


def test_a_name_that_is_prepared_needs_no_look_at_its_source_and_a_damaged_copy_is_made_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counts = decoded(monkeypatch)
    looked: list[int] = []

    def look() -> Source:
        looked.append(1)
        return digits()

    monkeypatch.setattr("nas.evaluate.data.load.digits", look)
    settings = DataSettings(resolution=8)
    first, again = load_data(settings), load_data(settings)
    assert (counts, len(looked)) == ([1797], 1) and np.array_equal(first.train.images, again.train.images)
    file = prepared_path("digits", View(8)) / "all.labels.npy"
    file.write_bytes(file.read_bytes()[:-8] + b"\x05" + bytes(7))
    mended = load_data(settings)
    assert (counts, len(looked)) == ([1797, 1797], 2) and np.array_equal(first.test.labels, mended.test.labels)


def test_a_prepared_folder_is_data_wherever_it_is_moved(tmp_path: Path, image_folder: Path) -> None:
    from_images = load(image_folder)
    prepare(find_source(str(image_folder)), 8, tmp_path / "own")
    with pytest.raises(InputError, match="holds the prepared images of .* at 8 px; choose another folder with --out"):
        prepare(find_source(str(image_folder)), 16, tmp_path / "own")
    with pytest.raises(InputError, match="holds prepared images already, of .*images' at 8 px"):
        find_source(str(tmp_path / "own"))
    shutil.move(tmp_path / "own", tmp_path / "moved")
    shutil.rmtree(image_folder)
    moved = load(tmp_path / "moved")
    assert np.array_equal(moved.test.images, from_images.test.images) and moved.classes == from_images.classes
    with pytest.raises(InputError, match=r"was prepared at 8 px, but 16 px are asked for; use --set data.resolution=8"):
        load_data(DataSettings(source=str(tmp_path / "moved"), resolution=16))
    (tmp_path / "moved" / "all.labels.npy").unlink()
    with pytest.raises(InputError, match="no usable folder of prepared images"):
        load(tmp_path / "moved")


@pytest.mark.parametrize("change", ["pickled labels", "other format", "no json"])
def test_a_folder_that_is_no_prepared_one_is_refused(tmp_path: Path, image_folder: Path, change: str) -> None:
    folder = tmp_path / "own"
    prepare(find_source(str(image_folder)), 8, folder)
    if change == "pickled labels":
        np.save(folder / "all.labels.npy", np.array([{"a": 1}] * 60, dtype=object), allow_pickle=True)
    elif change == "other format":
        meta = json.loads((folder / "meta.json").read_text())
        (folder / "meta.json").write_text(json.dumps(meta | {"format": "other-2"}))
    else:
        (folder / "meta.json").write_text("nothing")
    with pytest.raises(InputError, match="no usable folder of prepared images"):
        load(folder)


def test_unreadable_files_are_listed_and_never_used(tmp_path: Path) -> None:
    write_images(tmp_path / "data", {"a": 100, "b": 101})
    (tmp_path / "data" / "a" / "bad.jpg").write_bytes(b"\xff\xd8 no JPEG")
    found, _ = prepare(find_source(str(tmp_path / "data")), 8)
    assert len(found.skipped) == 1 and found.skipped[0].startswith("a/bad.jpg: ")
    data = load(tmp_path / "data")
    assert sum(len(part.labels) for part in (data.train, data.validation, data.test)) == 201
    assert data.skipped == found.skipped


def test_classes_can_be_chosen(image_folder: Path) -> None:
    two = load(image_folder, classes=("red", "blue"))
    assert two.classes == ("blue", "red") and set(two.train.labels.tolist()) == {0, 1}
    for image, label in zip(two.train.images, two.train.labels, strict=True):
        assert ("red", "green", "blue")[image.mean((0, 1)).argmax()] == two.classes[label]
    drawn = {load(image_folder, split_seed=seed, classes=2).classes for seed in range(8)}
    assert len(drawn) > 1 and all(len(names) == 2 for names in drawn)
    with pytest.raises(InputError, match=r"data.classes: 'rad' is no class of these images; did you mean 'red'"):
        load(image_folder, classes=("rad", "blue"))
    with pytest.raises(InputError, match="expected at most the 3 classes there are, got 4"):
        load(image_folder, classes=4)


def test_so_many_images_can_be_held_out(tmp_path: Path) -> None:
    write_images(tmp_path / "data" / "train", {"a": 40, "b": 20})
    write_images(tmp_path / "data" / "test", {"a": 5, "b": 5})
    data = load(tmp_path / "data", validation=30)
    assert np.bincount(data.validation.labels).tolist() == [20, 10] and len(data.train.labels) == 30
    exact = load(tmp_path / "data", validation=31)
    assert len(exact.validation.labels) == 31
    with pytest.raises(InputError, match="60 images are to be held out, but there are only 60"):
        load(tmp_path / "data", validation=60)
    with pytest.raises(InputError, match="59 images are to be held out, but only 58 can be, because every class needs"):
        load(tmp_path / "data", validation=59)


def test_workers_map_the_file_and_copy_nothing(image_folder: Path) -> None:
    data = load(image_folder)
    assert isinstance(data.train.pixels, MappedImages)
    travelled: ImageData = pickle.loads(pickle.dumps(data))
    assert isinstance(travelled.train.array, np.memmap)
    assert len(pickle.dumps(data)) < 5000 < data.size_bytes
    assert travelled.train.array is travelled.validation.array  # one mapping a process
    resident = data.resident()
    assert isinstance(resident.train.pixels, np.ndarray)
    assert np.array_equal(resident.train.images, data.train.images)


def test_files_that_vanish_or_change_under_a_run_are_told(image_folder: Path) -> None:
    data = load(image_folder)
    images = data.train.pixels
    assert isinstance(images, MappedImages)
    with pytest.raises(DataGone, match="have changed since the run began"):
        MappedImages(images.path, images.shape, "0" * 64).open()
    with pytest.raises(DataGone, match="cannot be read"):
        MappedImages("/nowhere/all.images.npy", images.shape, images.digest).open()
    file = Path(images.path)
    file.write_bytes(file.read_bytes()[:-100])
    code = "import pickle, sys; pickle.loads(sys.stdin.buffer.read()).train.array"
    process = subprocess.run([sys.executable, "-c", code], input=pickle.dumps(data), capture_output=True, check=False)
    assert b"DataGone" in process.stderr


def test_a_full_or_forbidden_disk_leaves_nothing_behind(
    tmp_path: Path, image_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(WorkError, match="No space left on device.*NAS_CACHE"):
        prepare(find_source(str(image_folder)), 8, tmp_path / "here" / "own")
    assert not list((tmp_path / "here").iterdir())
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(InputError, match="60 images at 8 px need .* free; use a lower resolution or fewer images"):
        prepare(find_source(str(image_folder)), 8, tmp_path / "here" / "own")


def test_a_folder_of_something_else_is_never_replaced(tmp_path: Path, image_folder: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.txt").write_text("years")
    for path in (tmp_path / "thesis", image_folder):
        with pytest.raises(InputError, match="holds something other than prepared images; choose another folder"):
            prepare(find_source(str(image_folder)), 8, path)
    assert (tmp_path / "thesis" / "thesis.txt").read_text() == "years" and len(list(image_folder.rglob("*.png"))) == 60
    (tmp_path / "empty").mkdir()
    assert prepare(find_source(str(image_folder)), 8, tmp_path / "empty")[1]


def test_two_at_once_prepare_it_once(tmp_path: Path, image_folder: Path) -> None:
    code = f"""
from pathlib import Path
from nas.evaluate.data.load import find_source, prepare
print(prepare(find_source({str(image_folder)!r}), 64, Path({str(tmp_path / "own")!r}))[1])
"""
    both = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert sorted(process.communicate()[0].strip() for process in both) == ["False", "True"]


def test_a_decoder_that_is_killed_leaves_no_half_folder(tmp_path: Path, image_folder: Path) -> None:
    code = f"""
import os
from pathlib import Path
from nas.evaluate.data.load import find_source, prepare
prepare(find_source({str(image_folder)!r}), 8, Path({str(tmp_path / "own")!r}), lambda done, total: os._exit(9))
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 9
    assert not (tmp_path / "own").exists()
    assert len(list(tmp_path.glob(".own.*"))) == 1  # what was half done
    prepare(find_source(str(image_folder)), 8, tmp_path / "own")
    assert len(load(tmp_path / "own").train.labels) == 36
    assert not list(tmp_path.glob(".own.*"))


def test_progress_ends_with_all_of_it(image_folder: Path, tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    prepare(find_source(str(image_folder)), 8, tmp_path / "own", lambda done, total: calls.append((done, total)))
    assert calls[-1] == (60, 60)
