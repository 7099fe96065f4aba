"""Crops are drawn from the whole photograph, in its own shape; policies follow EfficientNet's public code."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nas.evaluate.data.load import load_data
from nas.evaluate.data.settings import DataSettings
from nas.evaluate.data.view import View
from nas.training import policies
from nas.training.crops import apply, as_scored, draw
from nas.training.recipe import Recipe, load_recipe, make_recipe


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """Photographs of 500x375 and 375x500 with a white border of 20 pixels left and right, or above and below."""
    for kind, (width, height) in (("wide", (500, 375)), ("tall", (375, 500))):
        (tmp_path / kind).mkdir()
        for index in range(8):
            pixels = np.zeros((height, width, 3), dtype=np.uint8)
            if kind == "wide":
                pixels[:, :20] = pixels[:, -20:] = 255
            else:
                pixels[:20] = pixels[-20:] = 255
            pixels[0, 0] = index
            Image.fromarray(pixels).save(tmp_path / kind / f"{index}.png")
    return tmp_path


def test_the_border_of_a_photograph_reaches_the_network(photographs: Path) -> None:
    recipe = Recipe(crop="resized", augment="none")
    views = recipe.views(96)
    assert views[0] == View(round(110 * 4 / 3), whole=True) and views[1].side == 96
    data = load_data(DataSettings(source=str(photographs)), views=views)
    assert data.train.resolution == views[0].side and data.validation.resolution == 96
    assert data.train.aspects is not None
    assert np.unique(data.train.aspects).tolist() == pytest.approx([3 / 4, 4 / 3])
    assert data.validation.images.max() < 60  # a square of 87.5% of the shorter side holds no border
    generator = torch.Generator().manual_seed(0)
    seen = 0
    for _ in range(20):
        count = len(data.train.labels)
        draws = draw(count, views[0].side, 96, recipe, False, generator, torch.from_numpy(data.train.aspects.copy()))
        images = apply(torch.from_numpy(data.train.images), draws, 96, recipe)
        seen += int((images.float().amax((1, 2, 3)) > 200).sum())
    assert seen > 15  # of 160 crops; of squares cut before, it would be none


@pytest.mark.parametrize("aspect", [0.4, 0.75, 1.0, 4 / 3, 3.0])
def test_crops_have_their_ratio_in_the_photograph(aspect: float) -> None:
    recipe = Recipe(crop="resized")
    draws = draw(2000, 300, 224, recipe, False, torch.Generator().manual_seed(1), torch.full((2000,), aspect))
    top, left, height, width = draws.boxes.T
    assert (top >= -1e-3).all() and (left >= -1e-3).all()
    assert (top + height <= 300.01).all() and (left + width <= 300.01).all()
    ratio = width * aspect / height
    assert ratio.min() > 0.749 and ratio.max() < 1.334
    assert ratio.median() == pytest.approx(1, abs=0.15)


def test_square_images_are_cropped_as_before() -> None:
    recipe = Recipe(crop="resized")
    plain, told = (
        draw(50, 64, 56, recipe, True, torch.Generator().manual_seed(3), aspects) for aspects in (None, torch.ones(50))
    )
    assert torch.equal(plain.boxes, told.boxes) and torch.equal(plain.mirrored, told.mirrored)


def test_efficientnets_recipe_has_its_interpolation_and_table() -> None:
    recipe = make_recipe(load_recipe("efficientnet"), "efficientnet")
    assert recipe.interpolation == "bicubic" and recipe.augment == "auto"
    assert recipe.views(224) == (View(341, True, 1.0, "bicubic"), View(224, False, 0.875, "bicubic"))


IMAGE = torch.arange(3 * 32 * 32, dtype=torch.int64).reshape(3, 32, 32).remainder(251).to(torch.uint8)


@pytest.mark.parametrize(
    ("name", "level", "expected"),
    [
        ("solarize", 10, IMAGE),  # the threshold is 256: nothing is inverted
        ("solarize", 0, 255 - IMAGE),
        ("posterize", 2, torch.zeros_like(IMAGE)),  # int(0.8) bits, as in the public code
        ("posterize", 10, IMAGE & 0b11110000),
        ("invert", 0, 255 - IMAGE),
        ("rotate", 0, IMAGE),
        ("shear_x", 0, IMAGE),
    ],
)
def test_operations_at_known_levels(name: str, level: float, expected: torch.Tensor) -> None:
    assert torch.equal(policies.apply_operation(name, IMAGE, level, 250), expected)


def test_solarize_add_brightens_the_dark() -> None:
    found = policies.apply_operation("solarize_add", IMAGE, 10, 250)
    assert torch.equal(found, torch.where(IMAGE < 128, (IMAGE.int() + 110).clamp(max=255).to(torch.uint8), IMAGE))


@pytest.mark.parametrize("name", ["translate_x", "translate_y", "shear_x", "shear_y", "rotate", "cutout"])
def test_what_comes_from_outside_is_grey(name: str) -> None:
    torch.manual_seed(0)
    found = policies.apply_operation(name, torch.zeros((3, 32, 32), dtype=torch.uint8), 9, 100)
    assert set(np.unique(found.numpy()).tolist()) == {0, 128}


def test_shifts_are_in_proportion_to_the_resolution() -> None:
    for side, pixels in ((224, 25), (56, 6)):
        torch.manual_seed(0)
        found = policies.apply_operation("translate_x", torch.zeros((3, side, side), dtype=torch.uint8), 1, 250)
        assert int((found[0, 0] == 128).sum()) == pixels


@pytest.mark.parametrize("name", ["translate_x", "translate_y", "shear_x", "shear_y", "rotate"])
def test_higher_levels_move_images_further(name: str) -> None:
    grey = []
    for level in (2, 5, 9):
        torch.manual_seed(0)
        found = policies.apply_operation(name, torch.zeros((3, 64, 64), dtype=torch.uint8), level, 100)
        grey.append(int((found == 128).sum()))
    assert grey[0] < grey[1] < grey[2]


def test_policies_follow_torchs_seed() -> None:
    for policy in (policies.auto_augment_v0, policies.rand_augment(9)):
        found = []
        for seed in (1, 1, 2, 3):
            torch.manual_seed(seed)
            found.append(torch.stack([policy(IMAGE) for _ in range(4)]))
        assert torch.equal(found[0], found[1]) and found[0].dtype == torch.uint8
        assert not all(torch.equal(found[0], one) for one in found[2:])


def test_rand_augment_draws_from_sixteen_operations() -> None:
    assert len(set(policies.RAND_OPERATIONS)) == 16


def test_training_images_are_seen_as_validation_images_are() -> None:
    """The middle 87.5% of the shorter side, of whole images that are squeezed into squares."""
    recipe = Recipe(crop="resized")
    ramp = torch.linspace(0, 255, 128).round().to(torch.uint8)
    across = ramp[None, None, :, None].expand(1, 128, 128, 3)
    for aspect, share in ((1.0, 0.875), (2.0, 0.4375), (0.5, 0.875)):  # of the width that is seen
        seen = as_scored(across, torch.tensor([aspect]), 56, recipe).float()
        step = 255 * share / 56
        assert seen[0, 20, 0, 0] == pytest.approx(255 * (1 - share) / 2 + step / 2, abs=1.5)
        assert seen[0, 20, -1, 0] == pytest.approx(255 * (1 + share) / 2 - step / 2, abs=1.5)
    padded = Recipe(crop="padded")
    assert torch.equal(as_scored(across, None, 56, padded), across[:, 36:92, 36:92])
