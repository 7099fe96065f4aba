"""The pages of a training and of ``nas make`` hold their pictures and fit a phone's screen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nas.core.errors import InputError
from nas.evaluate.data.image_data import Part
from nas.evaluate.predictions import Predictions
from nas.report.layout import Picture
from nas.report.training import TrainingFacts, write_training_report
from nas.training.judgement import write_mistakes


def test_a_picture_is_part_of_the_page() -> None:
    picture = Picture("one", b"\x89PNG", "what it shows")
    assert picture.source == "data:image/png;base64,iVBORw=="


def test_mistakes_are_drawn_worst_first(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    part = Part.of(generator.integers(0, 255, (30, 8, 8, 3), dtype=np.uint8), np.arange(30) % 3)
    wrong = (part.labels + 1) % 3
    some = Predictions(part.labels, wrong, generator.random(30, dtype=np.float32), part.labels == wrong, 3)
    names = ("a", "$b$ <i>", "a very long name of a class")
    assert write_mistakes(tmp_path / "m.png", part, some, names)
    assert (tmp_path / "m.png").read_bytes().startswith(b"\x89PNG")
    right = Predictions(part.labels, part.labels, some.confidence, part.labels >= 0, 3)
    assert not write_mistakes(tmp_path / "none.png", part, right, names)
    assert not (tmp_path / "none.png").exists()


def test_folders_that_are_no_finished_training_have_no_page(tmp_path: Path) -> None:
    for read in (TrainingFacts.read, write_training_report):
        with pytest.raises(InputError, match="the training has not ended; go on with"):
            read(tmp_path)


def test_pictures_never_exceed_the_screen() -> None:
    css = (Path(__file__).parents[2] / "nas" / "report" / "page.css").read_text()
    assert "figure img { display: block; max-width: 100%;" in css
