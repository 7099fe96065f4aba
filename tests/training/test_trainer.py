"""The training itself: the same whenever it is interrupted, and whatever happens to it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nas.core.callback import SILENT
from nas.core.errors import InputError, WorkError
from nas.evaluate.data.image_data import ImageData, Part
from nas.search_spaces.module import NetworkModule, build
from nas.search_spaces.network import Network
from nas.training.checkpoint import STATE, Checkpoint
from nas.training.recipe import Recipe
from nas.training.trainer import Trainer
from nas.training.world import World
from nas.weights.file import random_weights

RECIPE = Recipe(
    epochs=3, batch_size=8, learning_rate=0.05, warmup_epochs=1, ema=0.9, crop="padded", crop_padding=1, augment="rand"
)


def part(count: int, side: int, seed: int) -> Part:
    """Three classes that are told apart by their colour."""
    labels = np.arange(count) % 3
    images = np.random.default_rng(seed).integers(0, 90, size=(count, side, side, 3), dtype=np.uint8)
    images[np.arange(count), :, :, labels] += 150
    return Part.of(images, labels)


def data(side: int = 16) -> ImageData:
    return ImageData(part(28, side, 0), part(12, side, 1), part(12, side, 2), ("r", "g", "b"))


def trainer(
    network: Network,
    recipe: Recipe = RECIPE,
    side: int = 16,
    world: World = World(),  # noqa: B008
) -> Trainer[NetworkModule]:
    torch.manual_seed(0)
    module: NetworkModule = build(network).to(memory_format=torch.channels_last)
    return Trainer(module, data(side), recipe, min(16, side), seed=5, world=world)


def run(one: Trainer[Any], folder: Path, steps: int | None = None) -> None:
    """Train to the end, or until so many steps are taken."""
    taken = 0

    def is_over() -> bool:
        nonlocal taken
        taken += 1
        return steps is not None and taken >= steps

    one.run(SILENT, lambda: one.state().save(folder), is_over)


def final(one: Trainer[Any]) -> dict[str, torch.Tensor]:
    return {**{f"ema.{name}": tensor for name, tensor in one.tensors("ema").items()}, **one.tensors("raw")}


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer": "rmsprop"},
        {"optimizer": "sgd", "ema": None, "micro_batch": 3},
        {"optimizer": "adamw", "crop": "resized", "mixup": 0.2, "cutmix": 1.0},
        {"freeze_batch_norm": True, "layer_decay": 0.5, "decay": "exponential", "decay_epochs": 0.5},
    ],
)
@pytest.mark.parametrize("steps", [1, 3, 5])
def test_a_resumed_training_ends_in_the_same_weights(
    changes: dict[str, Any], steps: int, tiny_network: Network, tmp_path: Path
) -> None:
    recipe = RECIPE.model_copy(update=changes)
    side = recipe.stored_resolution(16)
    whole = trainer(tiny_network, recipe, side)
    run(whole, tmp_path)
    interrupted = trainer(tiny_network, recipe, side)
    with pytest.raises(KeyboardInterrupt):
        run(interrupted, tmp_path, steps)
    assert (interrupted.epoch, interrupted.step) != (3, 0)
    torch.rand(7)  # whatever else draws
    resumed = trainer(tiny_network, recipe, side)
    checkpoint = Checkpoint.load(tmp_path)
    assert checkpoint is not None
    resumed.restore(checkpoint)
    assert (resumed.epoch, resumed.step) == (interrupted.epoch, interrupted.step)
    run(resumed, tmp_path)
    expected = final(whole)
    assert all(torch.equal(tensor, expected[name]) for name, tensor in final(resumed).items())
    times = {"seconds"}
    assert [{k: v for k, v in row.items() if k not in times} for row in resumed.history] == [
        {k: v for k, v in row.items() if k not in times} for row in whole.history
    ]


def test_it_learns(tiny_network: Network, tmp_path: Path) -> None:
    recipe = RECIPE.model_copy(update={"epochs": 25, "augment": "none", "batch_norm_momentum": 0.3})
    one = trainer(tiny_network, recipe)
    run(one, tmp_path)
    assert one.scores("test")["ema"].top1 > 0.9 and one.scores("test")["ema"].top5 == 1
    assert one.history[-1]["loss"] < one.history[0]["loss"]


def test_a_seed_decides_everything(tiny_network: Network, tmp_path: Path) -> None:
    ends = []
    for seed in (5, 5, 6):
        torch.manual_seed(0)
        one = Trainer(build(tiny_network), data(), RECIPE.model_copy(update={"epochs": 1}), 16, seed=seed)
        run(one, tmp_path)
        ends.append(one.tensors("raw")["stem.0.weight"].clone())
    assert torch.equal(ends[0], ends[1]) and not torch.equal(ends[0], ends[2])


def test_micro_batches_change_little(tiny_network: Network, tmp_path: Path) -> None:
    recipe = RECIPE.model_copy(update={"freeze_batch_norm": True, "epochs": 1, "drop_connect": 0.0, "augment": "none"})
    ends = []
    for micro_batch in (None, 3):
        still = replace(tiny_network, drop_connect=0.0, head=replace(tiny_network.head, dropout=0.0))
        one = trainer(still, recipe.model_copy(update={"micro_batch": micro_batch}))
        run(one, tmp_path)
        ends.append(one.tensors("raw")["stem.0.weight"].clone())
    assert torch.allclose(ends[0], ends[1], atol=1e-5)


def test_out_of_memory_halves_what_is_held_at_once(
    tiny_network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = trainer(tiny_network, RECIPE.model_copy(update={"epochs": 1}))
    whole, sizes = one.module.forward, []

    def small(images: torch.Tensor) -> torch.Tensor:
        if one.module.training:
            sizes.append(len(images))
        if one.module.training and len(images) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return whole(images)

    monkeypatch.setattr(one.module, "forward", small)
    run(one, tmp_path)
    assert one.epoch == 1 and sizes[0] > 3 and max(sizes[4:]) <= 3
    resumed = trainer(tiny_network, RECIPE.model_copy(update={"epochs": 1}))
    resumed.restore(one.state())
    assert resumed._step.micro_batch == one._step.micro_batch is not None


def test_what_fits_not_even_alone_is_told(
    tiny_network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = trainer(tiny_network)

    def never(_: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(one.module, "forward", never)
    with pytest.raises(WorkError, match=r"out of memory with 1 images.*micro_batch"):
        run(one, tmp_path)


def test_a_training_that_diverges_says_so_and_keeps_its_checkpoint(tiny_network: Network, tmp_path: Path) -> None:
    recipe = RECIPE.model_copy(update={"optimizer": "sgd", "epochs": 2})
    one = trainer(tiny_network, recipe)
    with pytest.raises(KeyboardInterrupt):
        run(one, tmp_path, 2)
    kept = (tmp_path / STATE).read_bytes()
    with torch.no_grad():
        one.module.classifier.weight.fill_(float("nan"))
    with pytest.raises(WorkError, match=r"diverged: the loss was nan in step 3 of epoch 1.*learning_rate"):
        run(one, tmp_path)
    assert (tmp_path / STATE).read_bytes() == kept


def test_a_checkpoint_is_whole_or_the_one_before(
    tiny_network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import nas.training.checkpoint as checkpoints

    one = trainer(tiny_network)
    one.state().save(tmp_path)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    one.step = 1

    def full(path: Path, _: str) -> None:
        raise WorkError(f"{path}: cannot be written (No space left on device)")

    monkeypatch.setattr(checkpoints, "write_whole", full)
    with pytest.raises(WorkError, match="No space left"):
        one.state().save(tmp_path)
    monkeypatch.undo()
    found = Checkpoint.load(tmp_path)
    assert found is not None and found.values["step"] == 0
    assert before.items() <= {file.name: file.read_bytes() for file in tmp_path.iterdir()}.items()
    one.state().save(tmp_path)
    assert len(list(tmp_path.glob("checkpoint-*.safetensors"))) == 1


def test_a_damaged_checkpoint_is_never_trained_over(tiny_network: Network, tmp_path: Path) -> None:
    assert Checkpoint.load(tmp_path) is None
    trainer(tiny_network).state().save(tmp_path)
    (tensors,) = tmp_path.glob("checkpoint-*.safetensors")
    tensors.write_bytes(tensors.read_bytes()[:100])
    with pytest.raises(WorkError, match="the checkpoint cannot be read"):
        Checkpoint.load(tmp_path)


def test_every_process_needs_an_image(tiny_network: Network) -> None:
    with pytest.raises(InputError, match="7 images are too few for 9 processes"):
        trainer(tiny_network, world=World(0, 9))
    with pytest.raises(InputError, match="1 images are too few for 1 processes; BatchNorm needs 2"):
        trainer(tiny_network, RECIPE.model_copy(update={"batch_size": 1}))
    pixels = trainer(tiny_network.at(resolution=3), RECIPE.model_copy(update={"micro_batch": 1}), side=3)
    with pytest.raises(WorkError, match="BatchNorm needs more than one value"):
        run(pixels, Path("unused"))


def test_a_batch_is_no_larger_than_the_data(tiny_network: Network) -> None:
    """And the learning rate goes by what a step really sees."""
    one = trainer(tiny_network, RECIPE.model_copy(update={"batch_size": 512}))
    assert one.recipe.batch_size == 28 and one.recipe.peak_learning_rate == pytest.approx(0.05 * 28 / 256)


def test_a_network_that_breaks_at_the_end_of_an_epoch_is_not_saved(
    tiny_network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = trainer(tiny_network, RECIPE.model_copy(update={"ema": None}))
    update, steps = one._step.update, []

    def breaks() -> None:
        update()
        steps.append(1)
        if len(steps) == 4:  # the last of the epoch's
            with torch.no_grad():
                one.module.classifier.bias.fill_(float("inf"))

    monkeypatch.setattr(one._step, "update", breaks)
    with pytest.raises(WorkError, match="on the validation images of epoch 1"):
        run(one, tmp_path)
    assert not list(tmp_path.iterdir())


def test_given_normalisation_is_kept(tiny_network: Network) -> None:
    weights = random_weights(tiny_network)
    one = Trainer(build(tiny_network), data(), RECIPE, 16, (weights.mean, weights.std))
    mean, std = one.normalisation
    assert mean == pytest.approx(weights.mean) and std == pytest.approx(weights.std)
