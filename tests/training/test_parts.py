"""Recipes, optimizer, schedule, augmentation and weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nas.core.errors import InputError
from nas.search_spaces.module import build
from nas.search_spaces.network import Network
from nas.studies.paper_tables import TABLE_5
from nas.training import crops
from nas.training.config import make_config
from nas.training.curves import write_curves
from nas.training.recipe import Recipe, load_recipe, make_recipe, recipe_names
from nas.training.rmsprop import TensorFlowRMSProp
from nas.training.schedule import make_optimizer, parameter_groups, rate_factor, set_rates
from nas.training.world import World
from nas.weights.file import Weights, find_weights, imagenet_classes, random_weights, with_norm_of


def test_rmsprop_follows_tensorflows_formula() -> None:
    generator = np.random.default_rng(0)
    weight, gradients = generator.normal(size=5), generator.normal(size=(4, 5))
    ours = torch.nn.Parameter(torch.tensor(weight))
    optimizer = TensorFlowRMSProp([ours], lr=0.1, weight_decay=0.01)
    squares, velocity = np.ones(5), np.zeros(5)
    for gradient in gradients:
        ours.grad = torch.tensor(gradient)
        optimizer.step()
        total = gradient + 0.01 * weight
        squares += (1 - 0.9) * (total**2 - squares)
        velocity = 0.9 * velocity + 0.1 * total / np.sqrt(squares + 0.001)
        weight = weight - velocity
    np.testing.assert_allclose(ours.detach().numpy(), weight, rtol=1e-12)


def test_rmsprop_is_not_torchs() -> None:
    """Epsilon outside the root and squares from 0 make another first step, many times as long."""
    steps = []
    for make in (TensorFlowRMSProp, lambda p, lr: torch.optim.RMSprop(p, lr=lr, alpha=0.9, eps=0.001, momentum=0.9)):
        weight = torch.nn.Parameter(torch.zeros(1))
        weight.grad = torch.full((1,), 0.01)
        make([weight], lr=1.0).step()
        steps.append(abs(weight.item()))
    assert steps[0] == pytest.approx(0.01 / (0.9 + 0.1 * 1e-4 + 0.001) ** 0.5)
    assert steps[1] > 100 * steps[0]


def test_the_papers_schedule() -> None:
    """Linear from 0 over 5 epochs; a factor of 0.97 at 2.4, 4.8, 7.2, ... epochs from the start."""
    recipe = make_recipe(load_recipe("efficientnet"), "efficientnet")
    assert recipe.peak_learning_rate == pytest.approx(0.128)  # 0.256 for batches of 4096
    assert [rate_factor(recipe, epoch) for epoch in (0, 2.5)] == [0, 0.5]
    assert rate_factor(recipe, 5) == pytest.approx(0.97**2)
    assert rate_factor(recipe, 7.19) == pytest.approx(0.97**2) and rate_factor(recipe, 7.21) == pytest.approx(0.97**3)
    assert rate_factor(recipe, 349.9) == pytest.approx(0.97**145)


def test_a_cosine_falls_to_nothing_and_a_short_training_warms_up_for_a_fifth() -> None:
    recipe = Recipe(epochs=10, warmup_epochs=5)
    assert rate_factor(recipe, 2) == 1 and rate_factor(recipe, 1) == 0.5
    assert rate_factor(recipe, 10) == pytest.approx(0) and rate_factor(recipe, 6) == pytest.approx(0.5)


@pytest.mark.parametrize("name", recipe_names())
def test_shipped_recipes_are_whole(name: str) -> None:
    assert make_recipe(load_recipe(name), name).epochs >= 30


def test_recipes_that_are_none() -> None:
    with pytest.raises(InputError, match="did you mean 'modern'"):
        load_recipe("modren")
    with pytest.raises(InputError, match=r"unknown key 'epoch'.*did you mean 'epochs'"):
        make_recipe({"epoch": 3}, "mine.yaml")
    with pytest.raises(InputError, match=r"recipe\.ema"):
        make_config({"thing": "x", "resolution": 32, "recipe.ema": 1.5}, None, [])


def test_initial_weights_choose_the_transfer_recipe() -> None:
    values = {"thing": "x", "resolution": 32}
    assert make_config(values, None, []).recipe.layer_decay == 1
    assert make_config({**values, "init": "torchvision"}, None, []).recipe.layer_decay < 1


def test_parameters_are_grouped_by_stage_and_decay(tiny_network: Network) -> None:
    module = build(tiny_network)
    recipe = Recipe(weight_decay=0.1, layer_decay=0.5, head_rate=4)
    rates = {id(weight): group["rate"] for group in parameter_groups(module, recipe) for weight in group["params"]}
    decays = {
        id(weight): group["weight_decay"] for group in parameter_groups(module, recipe) for weight in group["params"]
    }
    named = dict(module.named_parameters())
    assert rates.keys() == {id(weight) for weight in named.values()}

    def rate(start: str) -> set[float]:
        return {rates[id(weight)] for name, weight in named.items() if name.startswith(start)}

    assert [rate(part) for part in ("stem", "stages.0", "stages.1", "head", "classifier")] == [
        {0.25},
        {0.5},
        {1.0},
        {1.0},
        {4.0},
    ]
    assert decays[id(named["stem.0.weight"])] == 0.1 and decays[id(named["stem.1.weight"])] == 0
    assert decays[id(named["classifier.bias"])] == 0
    papers = parameter_groups(module, Recipe(weight_decay=0.1, decay_biases=True))
    own = {id(weight): group["weight_decay"] for group in papers for weight in group["params"]}
    assert own[id(named["classifier.bias"])] == 0.1 and own[id(named["stem.1.bias"])] == 0


def test_rates_keep_their_shares(tiny_network: Network) -> None:
    recipe = Recipe(optimizer="rmsprop", layer_decay=0.5, head_rate=2)
    optimizer = make_optimizer(parameter_groups(build(tiny_network), recipe), recipe)
    set_rates(optimizer, 0.3)
    assert sorted({round(group["lr"], 6) for group in optimizer.param_groups}) == [0.075, 0.15, 0.3, 0.6]


@given(st.integers(1, 40), st.integers(1, 6))
def test_shares_are_all_rows_once(count: int, size: int) -> None:
    rows = [row for rank in range(size) for row in range(count)[World(rank, size).share(count)]]
    assert rows == list(range(count))


def pixels(count: int, side: int) -> torch.Tensor:
    return torch.randint(0, 256, (count, side, side, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def draws(recipe: Recipe, side: int, resolution: int, count: int = 12, flips: bool = True) -> crops.Draws:
    return crops.draw(count, side, resolution, recipe, flips, torch.Generator().manual_seed(1))


def test_shifts_are_cuts_of_the_padded_image() -> None:
    recipe, images = Recipe(crop="padded", crop_padding=3, augment="none"), pixels(12, 10)
    drawn = draws(recipe, 10, 10)
    result = crops.apply(images, drawn, 10, recipe)
    padded = np.pad(images.numpy(), ((0, 0), (3, 3), (3, 3), (0, 0)))
    assert {-3, 3} <= set(drawn.boxes[:, :2].flatten().int().tolist()) and drawn.mirrored.any()
    for index, (top, left) in enumerate(drawn.boxes[:, :2].int().tolist()):
        cut = padded[index, top + 3 : top + 13, left + 3 : left + 13]
        np.testing.assert_array_equal(result[index], cut[:, ::-1] if drawn.mirrored[index] else cut)


def test_without_crops_the_image_is_as_it_was() -> None:
    recipe, images = Recipe(crop="none", augment="none"), pixels(4, 8)
    assert torch.equal(crops.apply(images, draws(recipe, 8, 8, 4, flips=False), 8, recipe), images)


def test_a_box_of_the_whole_image_is_the_image() -> None:
    recipe, images = Recipe(augment="none"), pixels(2, 9)
    whole = crops.Draws(torch.tensor([[0.0, 0, 9, 9]] * 2), torch.tensor([False, True]), torch.zeros(2).long())
    result = crops.apply(images, whole, 9, recipe)
    assert torch.equal(result[0], images[0]) and torch.equal(result[1], images[1].flip(1))


@given(st.floats(0.01, 1), st.integers(8, 64))
def test_boxes_lie_in_the_image(scale: float, side: int) -> None:
    boxes = draws(Recipe(crop_scale=scale), side, side).boxes
    assert (boxes >= -1e-4).all() and (boxes[:, 0] + boxes[:, 2] <= side + 1e-3).all()
    assert (boxes[:, 1] + boxes[:, 3] <= side + 1e-3).all()
    assert (boxes[:, 2] * boxes[:, 3] >= 0.98 * scale * side**2 - 1e-3).all()


@pytest.mark.parametrize("augment", ["none", "auto", "auto-cifar10", "auto-svhn", "rand", "trivial"])
@pytest.mark.parametrize("crop", ["resized", "padded"])
def test_a_part_of_a_batch_is_augmented_as_in_the_whole(crop: str, augment: str) -> None:
    recipe, images = Recipe.model_validate({"crop": crop, "augment": augment}), pixels(6, 16)
    drawn = draws(recipe, 16, 14, 6)
    whole = crops.apply(images, drawn, 14, recipe)
    rows = slice(2, 5)
    assert whole.shape == (6, 14, 14, 3) and whole.dtype == torch.uint8
    torch.rand(3)
    assert torch.equal(crops.apply(images[rows], drawn.of(rows), 14, recipe), whole[rows])


def test_weights_come_back_with_what_they_are_of(tiny_network: Network, tmp_path: Path) -> None:
    weights = random_weights(tiny_network, seed=3)
    saved = Weights(tiny_network, weights.tensors, ("a", "b", "c"), (1.0, 2.0, 3.0), (4.0, 5.0, 6.0))
    saved.save(tmp_path / "w.safetensors")
    read = find_weights(str(tmp_path / "w.safetensors"), tiny_network)
    assert (read.network, read.classes, read.mean, read.std) == (
        tiny_network,
        ("a", "b", "c"),
        (1.0, 2.0, 3.0),
        (4.0, 5.0, 6.0),
    )
    module = build(tiny_network)
    read.into(module)
    assert all(torch.equal(tensor, saved.tensors[name]) for name, tensor in module.state_dict().items())


def test_a_new_head_stays_as_it_is(tiny_network: Network) -> None:
    module = build(tiny_network.at(classes=7))
    head = module.classifier.weight.clone()
    random_weights(tiny_network).into(module, keep_head=False)
    assert torch.equal(module.classifier.weight, head)
    with pytest.raises(InputError, match=r"another network: 'classifier.bias' is \(3,\) there, but \(7,\)"):
        random_weights(tiny_network).into(module)


def test_weights_of_another_network_are_refused(tiny_network: Network) -> None:
    from nas.scale.find_network import find_network

    with pytest.raises(InputError, match=r"are of 'mnasnet_a1', another network: 'head.0.weight'"):
        random_weights(find_network("mnasnet_a1")).into(build(tiny_network), keep_head=False)


def test_weights_of_other_layers_are_refused_whatever_their_shapes(tiny_network: Network, tmp_path: Path) -> None:
    random_weights(tiny_network.at(resolution=32, classes=9)).save(tmp_path / "w.safetensors")
    assert find_weights(str(tmp_path / "w.safetensors"), tiny_network).network.classes == 9
    other = replace(tiny_network, stem=replace(tiny_network.stem, activation="relu"))
    with pytest.raises(InputError, match="a network with other layers than 'network'"):
        find_weights(str(tmp_path / "w.safetensors"), other)


@pytest.mark.parametrize("content", [b"", b"no safetensors at all", b"\x08\0\0\0\0\0\0\0{}      "])
def test_files_that_hold_no_weights(content: bytes, tmp_path: Path, tiny_network: Network) -> None:
    (tmp_path / "w.safetensors").write_bytes(content)
    with pytest.raises(InputError, match="is not a weights file of mnas"):
        find_weights(str(tmp_path / "w.safetensors"), tiny_network)
    with pytest.raises(InputError, match=r"no weights\.safetensors"):
        find_weights(str(tmp_path / ".."), tiny_network)
    with pytest.raises(InputError, match="does not exist"):
        find_weights("absent", tiny_network)


def test_batch_norm_belongs_to_the_weights(tiny_network: Network) -> None:
    from nas.scale.find_network import find_network
    from nas.weights.torchvision import torchvision_network

    theirs = random_weights(torchvision_network("efficientnet_b0"))
    assert with_norm_of(find_network("efficientnet_b0"), theirs).norm_epsilon == 1e-5
    assert len(imagenet_classes()) == 1000 and imagenet_classes()[0] == "tench"
    with pytest.raises(InputError, match="torchvision has no weights"):
        find_weights("torchvision", tiny_network)


def test_the_papers_eight_data_sets_can_be_named() -> None:
    from nas.evaluate.data.load import data_names

    assert len(TABLE_5) == 8 and set(TABLE_5) <= set(data_names())
    ahead = [name for name, (_, reported) in TABLE_5.items() if reported.top1 >= reported.other_top1]
    assert len(ahead) == 5  # "state of the art on 5 of 8", the paper says


def test_curves_are_the_same_picture_each_time(tmp_path: Path) -> None:
    row = {"epoch": 1, "loss": 2.0, "raw_top1": 0.1, "raw_top5": 0.5, "raw_loss": 2.1}
    history = [row, {**row, "epoch": 2, "raw_top1": 0.2}]
    write_curves(tmp_path / "a.svg", history, "x")
    write_curves(tmp_path / "b.svg", history, "x")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
