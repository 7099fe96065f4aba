"""A data set and its split are known again wherever they lie, and what has changed is said."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from nas.core.errors import InputError
from nas.evaluate.data.identity import DataIdentity, SeenImages, check_unseen, keep_identity
from nas.evaluate.data.image_data import Contents, ImageData
from nas.evaluate.data.load import load_data
from nas.evaluate.data.settings import DataSettings, keep_old_split
from tests.conftest import write_images


def load(folder: Path, **settings: object) -> ImageData:
    return load_data(DataSettings(source=str(folder), **({"resolution": 8} | settings)))  # type: ignore[arg-type]


def identity(folder: Path, **settings: object) -> DataIdentity:
    return DataIdentity.of(load(folder, **settings))


def share(seen: SeenImages, contents: Contents) -> float:
    count, judged = seen.seen(contents)
    return count / judged if judged else 0.0


def test_the_same_images_are_known_elsewhere_and_at_another_resolution(tmp_path: Path, image_folder: Path) -> None:
    first = identity(image_folder)
    shutil.copytree(image_folder, tmp_path / "moved")
    assert identity(tmp_path / "moved") == first == identity(image_folder, resolution=12)
    assert not first.changes_to(identity(image_folder)) and first.classes["red"] == (12, 4, 4)
    assert DataIdentity.read(first.as_dict(), "file") == first


def test_what_has_changed_is_said(image_folder: Path) -> None:
    first = identity(image_folder)
    other = identity(image_folder, split_seed=1)
    assert other.images == first.images and "another split" in first.changes_to(other)
    (image_folder / "red" / "000.png").unlink()
    assert first.changes_to(identity(image_folder)) == "1 image of 'red' gone"
    shutil.copy(image_folder / "red" / "001.png", image_folder / "red" / "000.png")
    assert first.changes_to(identity(image_folder)) == "as many images as before, with other content"
    (image_folder / "red").rename(image_folder / "rouge")
    assert first.changes_to(identity(image_folder)) == "classes added: rouge; classes gone: red"


def test_identities_of_other_fractions_are_compared_by_the_held_out_images(image_folder: Path) -> None:
    whole, part = identity(image_folder), identity(image_folder, fraction=0.3)
    assert not whole.changes_to(part) and not part.changes_to(whole)
    assert "another split" in whole.changes_to(identity(image_folder, fraction=0.3, split_seed=1))


def test_a_study_keeps_the_identity_of_its_images(tmp_path: Path, image_folder: Path) -> None:
    keep_identity(tmp_path, identity(image_folder), "trust", "set", "Put them back")
    keep_identity(tmp_path, identity(image_folder), "trust", "set", "Put them back")
    with pytest.raises(InputError, match="^trust: the images of 'set' have changed since then: .* Put them back$"):
        keep_identity(tmp_path, identity(image_folder, split_seed=3), "trust", "set", "Put them back")


@pytest.mark.parametrize("count", [40, 4000, 400_000])
def test_weights_trained_on_another_split_are_told(count: int) -> None:
    generator = np.random.default_rng(0)
    contents = np.unique(generator.integers(0, 2**63, size=count, dtype=np.uint64))
    generator.shuffle(contents)
    train, test = contents[: count // 2], contents[count // 2 :]
    seen = SeenImages.of(train)
    assert share(seen, train) == 1 and share(seen, test) == 0
    assert share(seen, contents) == pytest.approx(0.5, abs=0.01)
    both = seen.joined(SeenImages.of(test))
    assert share(both, test) == share(both, train) == 1
    assert SeenImages.read(both.as_dict()) == both and len(both.digests) <= 8 * 2**16


def test_damaged_lists_of_seen_images_are_refused() -> None:
    good = SeenImages.of(np.arange(5, dtype=np.uint64)).as_dict()
    for damage in ({"digests": "?"}, {"count": 2}, {"digests": "AAAA"}):
        with pytest.raises(ValueError, match=".*"):
            SeenImages.read({**good, **damage})


def test_a_split_that_the_weights_have_seen_is_refused(image_folder: Path) -> None:
    seen = SeenImages.of(load(image_folder).train.contents)
    check_unseen(seen, load(image_folder), "--init", "")
    check_unseen(seen, load(image_folder, fraction=0.3), "--init", "")
    with pytest.raises(InputError, match="^--init: about [0-9]+% of the validation images are among the images that"):
        check_unseen(seen, load(image_folder, split_seed=1), "--init", "")


def test_copies_in_the_data_set_itself_are_no_other_split(tmp_path: Path) -> None:
    write_images(tmp_path / "train", {"a": 20, "b": 20})
    write_images(tmp_path / "test", {"a": 5, "b": 5})
    data = load(tmp_path)
    check_unseen(SeenImages.of(data.train.contents), data, "--init", "")


def test_runs_from_before_keep_their_split() -> None:
    config = {"seed": 7, "data": {"source": "digits"}}
    keep_old_split(config)
    assert config["data"] == {"source": "digits", "split_seed": 7}
    given = {"seed": 7, "data": {"split_seed": 1}}
    keep_old_split(given)
    assert given["data"] == {"split_seed": 1}
