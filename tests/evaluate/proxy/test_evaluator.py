from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn

from nas.core.errors import InputError
from nas.core.records import Architecture
from nas.evaluate.contract import Diverged
from nas.evaluate.data.image_data import ImageData
from nas.evaluate.data.load import load_data
from nas.evaluate.data.settings import DataSettings
from nas.evaluate.predictions import unpack
from nas.evaluate.proxy.augmentation import augment
from nas.evaluate.proxy.evaluator import ProxyEvaluator, choose_device
from nas.evaluate.proxy.images import Images, Normalisation
from nas.evaluate.proxy.loop import Training, predict
from nas.evaluate.proxy.optimizers import make_optimizer, schedule
from nas.evaluate.proxy.settings import ProxySettings
from nas.search_spaces.network import Network

HERE = Architecture("tiny", (0,))


@pytest.fixture
def data(image_folder: Path) -> ImageData:
    return load_data(DataSettings(source=str(image_folder), resolution=16))


def evaluator(data: ImageData, **settings: object) -> ProxyEvaluator:
    return ProxyEvaluator(ProxySettings(batch_size=12, learning_rate=0.01, **settings), data, "cpu")  # type: ignore[arg-type]


def test_learns_from_real_pixels(data: ImageData, tiny_network: Network) -> None:
    assert evaluator(data, epochs=8).evaluate(HERE, tiny_network, seed=0)["accuracy"] > 0.9


def test_one_seed_one_result_and_no_trace_in_the_callers_state(data: ImageData, tiny_network: Network) -> None:
    proxy = evaluator(data, epochs=1)
    torch.manual_seed(7)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    first = [module_state(proxy, tiny_network, seed) for seed in (3, 3, 4)]
    assert torch.equal(first[0], first[1]) and not torch.equal(first[0], first[2])
    assert torch.equal(torch.get_rng_state(), state) and torch.get_num_threads() == threads


def module_state(proxy: ProxyEvaluator, network: Network, seed: int) -> torch.Tensor:
    with proxy._own_state(seed):
        module = proxy._trained(HERE, network, seed, proxy.settings).trained()
    return torch.cat([parameter.detach().flatten() for parameter in module.parameters()])


def test_the_test_part_is_scored_by_the_same_training(data: ImageData, tiny_network: Network) -> None:
    proxy = evaluator(data, epochs=3)
    validation = proxy.evaluate(HERE, tiny_network, seed=1)
    tested = proxy.test(HERE, tiny_network, seed=1)
    final = tested.metrics
    flags = unpack(tested.correct, len(data.test.labels))
    assert flags.mean() == pytest.approx(final["test_accuracy"])
    assert final["accuracy"] == validation["accuracy"]
    assert 0 <= final["test_accuracy"] <= 1 and set(validation) == {"accuracy"}


def test_the_test_part_cannot_leak_into_the_reward(data: ImageData, tiny_network: Network) -> None:
    """Other test images, the same validation accuracy."""
    other = ImageData(data.train, data.validation, data.train, data.classes)
    scores = [evaluator(item, epochs=2).evaluate(HERE, tiny_network, seed=1) for item in (data, other)]
    assert scores[0] == scores[1]


def test_divergence_is_told_with_its_epoch(data: ImageData, tiny_network: Network) -> None:
    with pytest.raises(Diverged, match=r"loss is (nan|inf) in epoch \d of 20|a logit is not finite"):
        ProxyEvaluator(
            ProxySettings(epochs=20, batch_size=4, learning_rate=1e30, optimizer="sgd", batch_norm_momentum=0.0), data
        ).evaluate(HERE, tiny_network)


@pytest.mark.parametrize("mirrored", [False, True])
def test_augmentation_only_shifts_and_mirrors(mirrored: bool) -> None:
    pixels = torch.zeros(200, 9, 9, 3, dtype=torch.uint8)
    pixels[:, 4, 2] = torch.tensor([1, 2, 3], dtype=torch.uint8)
    moved = augment(pixels, 2, mirrored, torch.Generator().manual_seed(0))
    assert moved.shape == pixels.shape and moved.dtype == torch.uint8
    spots = moved.sum(-1).nonzero()
    assert len(spots) == 200 and (moved.sum((1, 2)) == torch.tensor([1, 2, 3])).all()
    assert set(spots[:, 1].tolist()) == {2, 3, 4, 5, 6}
    columns = {0, 1, 2, 3, 4}
    assert set(spots[:, 2].tolist()) == (columns | {8 - column for column in columns} if mirrored else columns)
    assert torch.equal(augment(pixels, 0, False, torch.Generator()), pixels)


def test_augmentation_is_seeded() -> None:
    pixels = torch.randint(0, 255, (8, 9, 9, 3), dtype=torch.uint8)
    draws = [augment(pixels, 2, True, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)]
    assert torch.equal(draws[0], draws[1]) and not torch.equal(draws[0], draws[2])


def test_normalisation_is_measured_and_channels_last() -> None:
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 255, (500, 4, 4, 3), dtype=np.uint8))
    normalised = Normalisation.measure(Images.of(pixels, torch.zeros(500)))(pixels)
    assert normalised.shape == (500, 3, 4, 4) and normalised.is_contiguous(memory_format=torch.channels_last)
    assert normalised.mean((0, 2, 3)).abs().max() < 1e-4
    assert (normalised.std((0, 2, 3)) - 1).abs().max() < 1e-3


def test_schedule_warms_up_then_falls_to_zero() -> None:
    factors = [schedule(step, 100, 0.1) for step in range(100)]
    assert factors[0] == 0.1 and factors[9] == factors[10] == 1.0
    assert factors[10:] == sorted(factors[10:], reverse=True) and factors[-1] < 0.001
    assert factors[55] == pytest.approx(0.5)


def test_weight_decay_spares_norms_and_biases() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2))
    decayed, others = make_optimizer(module, ProxySettings(weight_decay=0.5)).param_groups
    assert [parameter.ndim for parameter in decayed["params"]] == [4, 2] and decayed["weight_decay"] == 0.5
    assert {parameter.ndim for parameter in others["params"]} == {1} and others["weight_decay"] == 0.0


def test_every_image_is_used_once_an_epoch() -> None:
    seen: list[int] = []

    class Spy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(1, 2)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            seen.extend(images[:, 0, 0, 0].round().int().tolist())
            logits: torch.Tensor = self.linear(images[:, :1, 0, 0])
            return logits

    pixels = torch.arange(25, dtype=torch.uint8)[:, None, None, None].expand(25, 2, 2, 3)
    images = Images.of(pixels, torch.zeros(25, dtype=torch.int64))
    identity = Normalisation(torch.zeros(3), torch.ones(3))
    settings = ProxySettings(epochs=2, batch_size=6, crop_padding=0, learning_rate=1e-6)
    Training(Spy(), images, identity, settings, False, torch.Generator().manual_seed(0)).run(settings.epochs)
    assert sorted(seen[:25]) == list(range(25)) == sorted(seen[25:]) and seen[:25] != seen[25:]


def test_too_few_logits_are_named_before_they_can_break_a_device() -> None:
    images = Images.of(torch.zeros(8, 2, 2, 3, dtype=torch.uint8), torch.arange(8))
    module = nn.Sequential(nn.Flatten(), nn.Linear(12, 5))
    identity = Normalisation(torch.zeros(3), torch.ones(3))
    with pytest.raises(ValueError, match=r"expected logits of shape \(batch, 8\) or wider, got \(8, 5\)"):
        Training(module, images, identity, ProxySettings(crop_padding=0), False, torch.Generator()).run(1)


def test_accuracy_counts_right_answers() -> None:
    class Answers(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return nn.functional.one_hot(images[:, 0, 0, 0].long(), 5).float()

    pixels = torch.tensor([0, 1, 2, 3], dtype=torch.uint8)[:, None, None, None].expand(4, 1, 1, 3)
    images = Images.of(pixels, torch.tensor([0, 1, 2, 4]))
    found = predict(Answers(), images, Normalisation(torch.zeros(3), torch.ones(3)), classes=5)
    assert found.metrics()["accuracy"] == 0.75


def test_devices() -> None:
    assert choose_device("cpu") == "cpu"
    assert choose_device("auto") == ("cuda" if torch.cuda.is_available() else "cpu")
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="expected a CUDA device, found none"):
            choose_device("cuda")


@pytest.mark.parametrize(
    "change", [{"epochs": 0}, {"learning_rate": 0.0}, {"label_smoothing": 2.0}, {"crop_padding": -1}]
)
def test_impossible_settings_are_refused(change: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match=next(iter(change))):
        ProxySettings(**change)  # type: ignore[arg-type]
