"""Every entry of a folder is an image of a class, or is left out with its reason."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from nas.core.callback import Callback
from nas.core.errors import InputError
from nas.evaluate.data.announce import announce_images
from nas.evaluate.data.image_files import ImageFolder, open_image_folder
from nas.evaluate.data.load import load_data
from nas.evaluate.data.scan import MOST_BYTES
from nas.evaluate.data.settings import DataSettings
from tests.conftest import write_images
from tests.toys import Heard, run_nas


def reasons(folder: ImageFolder) -> dict[str, str]:
    return {one.name: one.reason for one in folder.left_out}


def counts(folder: ImageFolder) -> dict[str, int]:
    return {part: len(rows) for part, rows in folder.parts.items()}


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("Training", "Testing"),
        ("training_set/training_set", "test_set/test_set"),
        ("seg_train/seg_train", "seg_test/seg_test"),
        ("train2017", "test2017"),
        ("TRAIN", "Evaluation"),
        ("images-train", "images-holdout"),
        ("outer/train/images", "outer/test/images"),
    ],
)
def test_names_of_splits(tmp_path: Path, train: str, test: str) -> None:
    write_images(tmp_path / train, {"cats": 6, "dogs": 6})
    write_images(tmp_path / test, {"cats": 2, "dogs": 2})
    folder = open_image_folder(tmp_path)
    assert folder.classes == ("cats", "dogs") and counts(folder) == {"train": 12, "test": 4}


def test_three_splits_with_validation_and_evaluation(tmp_path: Path) -> None:
    for name, count in (("training", 6), ("validation", 3), ("evaluation", 2)):
        write_images(tmp_path / name, {"a": count, "b": count})
    assert counts(open_image_folder(tmp_path)) == {"train": 12, "val": 6, "test": 4}


def test_images_without_labels_beside_the_splits(tmp_path: Path) -> None:
    for part in ("seg_train", "seg_test"):
        write_images(tmp_path / part, {"sea": 4, "street": 4})
    write_images(tmp_path, {"seg_pred": 3})
    folder = open_image_folder(tmp_path)
    assert counts(folder) == {"test": 8, "train": 8}
    assert "3 images without a class folder in seg_pred" in " ".join(folder.notes)


def test_a_test_folder_without_classes_is_left_out(tmp_path: Path) -> None:
    write_images(tmp_path / "train", {"sea": 4, "street": 4})
    write_images(tmp_path, {"test": 3})
    folder = open_image_folder(tmp_path)
    assert folder.classes == ("sea", "street") and counts(folder) == {"all": 8} and len(folder.notes) == 1


def test_a_class_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    write_images(tmp_path, {"cats": 5, "dogs": 5})
    (tmp_path / "horses").symlink_to("/nowhere/horses")
    with pytest.raises(InputError, match="class folder 'horses' .* a link to '/nowhere/horses', which does not exist"):
        open_image_folder(tmp_path)
    (tmp_path / "horses").unlink()
    (tmp_path / "horses").symlink_to(tmp_path / "dogs")
    with pytest.raises(InputError, match="class folder 'horses' .* a link to 'dogs', which is read already"):
        open_image_folder(tmp_path)


def test_a_split_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    write_images(tmp_path / "test", {"cats": 5, "dogs": 5})
    (tmp_path / "train").symlink_to("/nowhere/train")
    with pytest.raises(InputError, match="'train' in .* cannot be used: a link to '/nowhere/train'"):
        open_image_folder(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every folder")
def test_an_unreadable_class_folder_is_an_error(tmp_path: Path) -> None:
    write_images(tmp_path, {"cats": 5, "dogs": 5, "fox": 5})
    (tmp_path / "fox").chmod(0)
    with pytest.raises(InputError, match="class folder 'fox' .* cannot be read"):
        open_image_folder(tmp_path)
    (tmp_path / "fox").chmod(0o755)


def test_links_are_followed_once(tmp_path: Path) -> None:
    write_images(tmp_path / "elsewhere", {"fox": 4})
    write_images(tmp_path / "set", {"cats": 5, "dogs": 5})
    (tmp_path / "set" / "fox").symlink_to(tmp_path / "elsewhere" / "fox")
    (tmp_path / "set" / "cats" / "loop").symlink_to(tmp_path / "set")
    folder = open_image_folder(tmp_path / "set")
    assert counts(folder) == {"all": 14} and reasons(folder) == {"cats/loop": "a link to '.', which is read already"}


def test_a_dead_link_to_an_image_is_listed(tmp_path: Path) -> None:
    write_images(tmp_path, {"cats": 60, "dogs": 60})
    (tmp_path / "cats" / "zzz.png").symlink_to("/nowhere/x.png")
    data = load_data(DataSettings(source=str(tmp_path), resolution=8))
    assert data.skipped == ("cats/zzz.png: a link to '/nowhere/x.png', which does not exist",)
    for name in ("yyy.png", "xxx.png"):
        (tmp_path / "dogs" / name).symlink_to("/nowhere")
    with pytest.raises(InputError, match="3 of 123 images .* cannot be read, more than 1%"):
        load_data(DataSettings(source=str(tmp_path), resolution=8))


def test_what_the_program_and_the_system_wrote_is_left_out(tmp_path: Path) -> None:
    write_images(tmp_path, {"cats": 5, "dogs": 5})
    for name in ("runs/first", "trained/net"):
        write_images(tmp_path, {f"{name}/pictures": 2})
    (tmp_path / "runs" / "first" / "trials.jsonl").touch()
    (tmp_path / "trained" / "net" / "train.yaml").touch()
    write_images(tmp_path / "cats", {"@eaDir/000.png": 1, ".thumbnails": 1})
    (tmp_path / "Thumbs.db").touch()
    folder = open_image_folder(tmp_path)
    assert folder.classes == ("cats", "dogs") and counts(folder) == {"all": 10}
    assert reasons(folder)["runs/first"] == "the run directory of a search"
    assert {"cats/@eaDir", "cats/.thumbnails", "Thumbs.db", "trained/net"} <= set(reasons(folder))


def test_other_endings_are_told_by_content(tmp_path: Path) -> None:
    write_images(tmp_path, {"cats": 6, "dogs": 6})
    (tmp_path / "cats" / "000.png").rename(tmp_path / "cats" / "000.jfif")
    (tmp_path / "dogs" / "000.png").rename(tmp_path / "dogs" / "000")
    (tmp_path / "dogs" / "labels.txt").write_text("dogs")
    (tmp_path / "dogs" / "sound.wav").write_bytes(b"RIFF....WAVE")
    folder = open_image_folder(tmp_path)
    assert counts(folder) == {"all": 12}
    assert "2 files that are no images (1 .txt, 1 .wav)" in folder.notes[0]


def test_names_are_compared_in_one_unicode_form(tmp_path: Path) -> None:
    write_images(tmp_path / "train", {"caf\u00e9": 6, "bar": 6})
    write_images(tmp_path / "test", {"cafe\u0301": 2, "bar": 2})
    assert open_image_folder(tmp_path).classes == ("bar", "caf\u00e9")


def test_a_zip_made_on_windows(tmp_path: Path) -> None:
    write_images(tmp_path / "set", {"cats": 6, "dogs": 6})
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for path in sorted((tmp_path / "set").rglob("*.png")):
            entry = zipfile.ZipInfo("x")
            entry.filename = str(path.relative_to(tmp_path)).replace("/", "\\")
            archive.writestr(entry, path.read_bytes())
    folder = open_image_folder(tmp_path / "set.zip")
    assert folder.classes == ("cats", "dogs") and counts(folder) == {"all": 12}
    plain = load_data(DataSettings(source=str(tmp_path / "set"), resolution=8))
    assert np.array_equal(
        load_data(DataSettings(source=str(tmp_path / "set.zip"), resolution=8)).train.images, plain.train.images
    )


def test_an_entry_too_large_to_read_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MOST_BYTES == 256 * 2**20
    monkeypatch.setattr("nas.evaluate.data.scan.MOST_BYTES", 10_000)
    write_images(tmp_path, {"cats": 60, "dogs": 60})
    (tmp_path / "cats" / "zeros.png").write_bytes(bytes(20_000))
    data = load_data(DataSettings(source=str(tmp_path), resolution=8))
    assert len(data.skipped) == 1 and data.skipped[0].startswith("cats/zeros.png: 0 MiB, larger than")


def test_exact_copies_across_the_splits_are_counted(tmp_path: Path) -> None:
    write_images(tmp_path / "train", {"cats": 20, "dogs": 20})
    write_images(tmp_path / "test", {"cats": 5, "dogs": 5})  # the same generator draws the same images
    told = Heard()
    data = load_data(DataSettings(source=str(tmp_path), resolution=8))
    assert data.copies()["test"] == 5  # the cats; the dogs come later from the generator
    announce_images(data, "set", told)
    assert any("5 of the 10 test images are exact copies of training or validation images" in w for w in told.warnings)
    assert "classes: cats 25, dogs 25" in told.messages[0]
    done = run_nas("data", "prepare", tmp_path, "--resolution", "8", cwd=tmp_path)
    assert "5 of the 10 test images are exact copies of images of other splits" in done.stdout + done.stderr


def test_nothing_is_said_of_images_that_are_all_used(image_folder: Path) -> None:
    told = Heard()
    announce_images(load_data(DataSettings(source=str(image_folder), resolution=8)), "set", told)
    assert isinstance(told, Callback) and not told.warnings and "left out" not in told.messages[0]


def test_images_of_a_format_that_is_not_read_are_no_small_print(tmp_path: Path) -> None:
    write_images(tmp_path, {"cats": 20, "dogs": 20})
    (tmp_path / "cats" / "phone.heic").write_bytes(b"....ftypheic")
    with pytest.raises(InputError, match=r"1 of 41 images .* cats/phone.heic: an image of a format that is not read"):
        load_data(DataSettings(source=str(tmp_path), resolution=8))


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        ({"train": 9, "test1": 5}, "has test1 and train without class folders in them"),
        ({"test/cats": 5, "test/dogs": 5}, "has only 'test' and no train"),
        ({"cats/train": 5, "cats/test": 3, "dogs/train": 5, "dogs/test": 3}, "its splits inside the class folders"),
        ({"fold0/cats": 5, "fold0/dogs": 5, "fold1/cats": 5, "fold1/dogs": 5}, "look like folds, not classes"),
    ],
)
def test_layouts_that_would_be_read_as_wrong_classes(tmp_path: Path, folders: dict[str, int], message: str) -> None:
    write_images(tmp_path, folders)
    with pytest.raises(InputError, match=message):
        open_image_folder(tmp_path)


def test_an_archive_beside_a_lone_test_split_is_named(tmp_path: Path) -> None:
    write_images(tmp_path / "test", {"cats": 5, "dogs": 5})
    (tmp_path / "train.zip").write_bytes(b"PK")
    with pytest.raises(InputError, match="no train; unpack 'train.zip'"):
        open_image_folder(tmp_path)


def test_unlabelled_images_in_a_nested_folder(tmp_path: Path) -> None:
    for part in ("seg_train", "seg_test"):
        write_images(tmp_path / part / part, {"sea": 4, "street": 4})
    write_images(tmp_path, {"seg_pred/seg_pred": 3})
    assert counts(open_image_folder(tmp_path)) == {"test": 8, "train": 8}


def test_a_class_of_one_split_that_is_a_link_to_another_is_an_error(tmp_path: Path) -> None:
    write_images(tmp_path / "train", {"cats": 5, "dogs": 5})
    write_images(tmp_path / "test", {"dogs": 3})
    (tmp_path / "test" / "cats").symlink_to(tmp_path / "train" / "cats")
    with pytest.raises(
        InputError, match="class folder 'cats' in 'test' .* a link to 'train/cats', which is read already"
    ):
        open_image_folder(tmp_path)


def test_archives_that_cannot_be_read_say_what_to_do(tmp_path: Path) -> None:
    write_images(tmp_path / "set", {"cats": 6, "dogs": 6})
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for path in sorted((tmp_path / "set").rglob("*.png")):
            archive.write(path, f"../evil/{path.parent.name}/{path.name}")
    with pytest.raises(InputError, match="its path leads out of the archive"):
        open_image_folder(tmp_path / "set.zip")
    (tmp_path / "half.zip").write_bytes((tmp_path / "set.zip").read_bytes()[:900])
    with pytest.raises(InputError, match="damaged or incomplete zip"):
        open_image_folder(tmp_path / "half.zip")
    (tmp_path / "set.tar.gz").write_bytes(b"x")
    with pytest.raises(InputError, match="unpack it"):
        open_image_folder(tmp_path / "set.tar.gz")


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    write_images(tmp_path, {"cats": 6, "dogs": 6})
    (tmp_path / "cats" / os.fsdecode(b"not\xe9.txt")).write_bytes(b"x")
    assert load_data(DataSettings(source=str(tmp_path), resolution=8)).classes == ("cats", "dogs")
    (tmp_path / "cats").rename(tmp_path / os.fsdecode(b"c\xe9ts"))
    with pytest.raises(InputError, match="is not valid UTF-8; rename the folder"):
        open_image_folder(tmp_path)


def test_depths_that_are_mixed_and_classes_without_test_images_are_warned_of(tmp_path: Path) -> None:
    from PIL import Image

    write_images(tmp_path / "train", {"cats": 12, "dogs": 12})
    write_images(tmp_path / "test", {"cats": 3})
    for index in range(3):
        deep = np.full((9, 9), 20_000 + 9_000 * index, dtype=np.uint16)
        Image.fromarray(deep).save(tmp_path / "train" / "dogs" / f"deep{index}.png")
    told = Heard()
    announce_images(load_data(DataSettings(source=str(tmp_path), resolution=8)), "set", told)
    assert any("images of different depths are mixed (3 I;16 and 27 RGB)" in warning for warning in told.warnings)
    assert any("no test images of dogs" in warning for warning in told.warnings)
