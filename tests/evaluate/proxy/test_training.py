"""The parts of the training step: augmentation, small maps, precision, micro-batches, averages, pauses."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor, nn

from nas.core.records import Architecture
from nas.evaluate.contract import Diverged, Job
from nas.evaluate.data.image_data import ImageData
from nas.evaluate.data.load import load_data
from nas.evaluate.data.settings import DataSettings
from nas.evaluate.proxy.augmentation import mix, rand_augment
from nas.evaluate.proxy.evaluator import ProxyEvaluator
from nas.evaluate.proxy.images import Images, Normalisation
from nas.evaluate.proxy.loop import Training
from nas.evaluate.proxy.optimizers import moving_average
from nas.evaluate.proxy.paused import load_checkpoint, save_checkpoint
from nas.evaluate.proxy.precision import choose_precision
from nas.evaluate.proxy.settings import ProxySettings
from nas.evaluate.proxy.small_maps import SmallMapConv2d, use_small_maps
from nas.evaluate.proxy.step import EagerStep
from nas.evaluate.workers.guard import evaluate_safely
from nas.search_spaces.module import build
from nas.search_spaces.network import Network

HERE = Architecture("tiny", (0,))
CPU = torch.device("cpu")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def data(image_folder: Path) -> ImageData:
    return load_data(DataSettings(source=str(image_folder), resolution=16))


def training(network: Network, data: ImageData, seed: int = 0, **settings: Any) -> Training:
    torch.manual_seed(seed)
    module = build(network).to(memory_format=torch.channels_last)
    images = Images.load(data.train, CPU)
    chosen = ProxySettings(batch_size=12, **settings)
    return Training(module, images, Normalisation.measure(images), chosen, True, generator(seed))


def weights(module: nn.Module) -> Tensor:
    return torch.cat([value.detach().flatten().double() for value in module.state_dict().values()])


@given(
    side=st.sampled_from([1, 2, 3, 4, 5, 8, 9, 12]),
    kernel=st.sampled_from([1, 3, 5, 7]),
    stride=st.sampled_from([1, 2]),
    groups=st.sampled_from(["dense", "depthwise"]),
    bias=st.booleans(),
)
def test_small_maps_compute_what_the_library_computes(
    side: int, kernel: int, stride: int, groups: str, bias: bool
) -> None:
    torch.manual_seed(0)
    plain = nn.Conv2d(4, 4, kernel, stride, kernel // 2, groups=4 if groups == "depthwise" else 1, bias=bias).double()
    fast = nn.Conv2d(4, 4, kernel, stride, kernel // 2, groups=plain.groups, bias=bias).double()
    fast.load_state_dict(plain.state_dict())
    use_small_maps(fast)
    assert type(fast) is SmallMapConv2d
    results = []
    for module in (plain, fast):
        images = torch.randn(3, 4, side, side, dtype=torch.float64, generator=generator()).requires_grad_()
        output = module(images)
        output.square().sum().backward()
        results.append([output, images.grad, *(parameter.grad for parameter in module.parameters())])
    for one, other in zip(*results, strict=True):
        assert one is not None and other is not None and one.shape == other.shape
        torch.testing.assert_close(one, other)


def test_somebody_elses_convolutions_are_left_alone() -> None:
    class Own(nn.Conv2d):
        """A subclass."""

    parts = [
        Own(3, 4, 3, padding=1),
        nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect"),
        nn.Conv2d(3, 4, 3, padding="same"),
    ]
    parts += [nn.Conv2d(3, 4, 3, padding=2, dilation=2), nn.Conv2d(3, 4, (1, 3), padding=(0, 1))]
    for part in parts:
        kind = type(part)
        use_small_maps(part)
        assert type(part) is kind


def test_mixup_mixes_images_and_labels_alike() -> None:
    images = torch.eye(6).reshape(6, 1, 1, 6).expand(6, 3, 2, 6)
    labels = torch.arange(6)
    mixed, soft = mix(images, labels, 6, ProxySettings(mixup=0.4), generator())
    assert soft.shape == (6, 6)
    torch.testing.assert_close(soft.sum(1), torch.ones(6))
    torch.testing.assert_close(mixed[:, 0, 0], soft)  # what an image shows is what its label says


def test_cutmix_pastes_a_box_of_the_share_that_the_label_says() -> None:
    images = torch.arange(8.0).reshape(8, 1, 1, 1).expand(8, 3, 10, 10)
    shares = set()
    for seed in range(20):
        mixed, soft = mix(images, torch.arange(8), 8, ProxySettings(cutmix=1.0), generator(seed))
        for row in range(8):
            own = float((mixed[row, 0] == row).float().mean())
            assert own == pytest.approx(float(soft[row, row]), abs=1e-6)
        shares.add(round(float(soft[0, 0]), 2))
    assert len(shares) > 5


def test_without_mixing_labels_stay_indices_and_with_both_each_batch_draws_one() -> None:
    images, labels = torch.rand(8, 3, 6, 6), torch.arange(8)
    same, unchanged = mix(images, labels, 8, ProxySettings(), generator())
    assert same is images and unchanged is labels
    kinds = set()
    for seed in range(12):
        mixed, _ = mix(images, labels, 8, ProxySettings(mixup=0.4, cutmix=1.0), generator(seed))
        kinds.add(bool(torch.isin(mixed, images).all()))
    assert kinds == {True, False}


def test_rand_augment_changes_images_and_follows_the_seed() -> None:
    pixels = torch.randint(0, 255, (6, 16, 16, 3), dtype=torch.uint8, generator=generator())
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        drawn.append(rand_augment(pixels, 9))
    assert drawn[0].shape == pixels.shape and drawn[0].dtype == torch.uint8
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])


@pytest.mark.parametrize(
    "settings",
    [
        {"mixup": 0.2},
        {"cutmix": 1.0, "mixup": 0.2},
        {"rand_augment": 5},
        {"ema": 0.9},
        {"precision": "bf16"},
        {"micro_batch": 5},
        {"optimizer": "sgd", "learning_rate": 0.05},
        {"drop_connect": 0.0, "dropout": 0.0},
        {"mixup": 0.2, "ema": 0.99, "precision": "bf16", "micro_batch": 4, "rand_augment": 3},
    ],
)
def test_every_setting_trains_and_repeats(settings: dict[str, object], data: ImageData, tiny_network: Network) -> None:
    proxy = ProxyEvaluator(ProxySettings(batch_size=12, epochs=6, **settings), data, "cpu")  # type: ignore[arg-type]
    scores = [proxy.evaluate(HERE, tiny_network, seed=3) for _ in range(2)]
    assert scores[0] == scores[1] and scores[0]["accuracy"] > 0.5


def test_micro_batches_add_up_to_the_batch() -> None:
    """Exact where no layer looks at the whole batch."""
    states = []
    for micro_batch in (None, 4, 5):
        torch.manual_seed(0)
        module = nn.Sequential(nn.Flatten(), nn.Linear(12, 3)).double()
        optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
        step = EagerStep(module, optimizer, ProxySettings(micro_batch=micro_batch), 3, None)
        images = torch.randn(13, 3, 2, 2, dtype=torch.float64, generator=generator())
        losses = [float(step(images, torch.arange(13) % 3)) for _ in range(3)]
        states.append((losses, weights(module)))
    for losses, state in states[1:]:
        assert losses == pytest.approx(states[0][0]) and torch.allclose(state, states[0][1])


@pytest.mark.parametrize(("count", "micro_batch"), [(65, 32), (13, 4), (7, 3), (2, 1)])
def test_micro_batches_are_of_nearly_equal_size(count: int, micro_batch: int) -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(3, 2))
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    step = EagerStep(module, optimizer, ProxySettings(micro_batch=micro_batch), 2, None)
    sizes = [len(part) for part, _ in step._micro_batches(torch.zeros(count, 3, 1, 1), torch.zeros(count))]
    assert sum(sizes) == count and max(sizes) <= micro_batch and max(sizes) - min(sizes) <= 1


def test_out_of_memory_is_tried_once_more_with_half_the_micro_batch(
    data: ImageData, tiny_network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    original = EagerStep._loss_of

    def limited(limit: int):  # type: ignore[no-untyped-def]
        def loss_of(self: EagerStep, logits: Tensor, target: Tensor) -> Tensor:
            sizes.append(len(logits))
            if len(logits) > limit:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return original(self, logits, target)

        return loss_of

    proxy = ProxyEvaluator(ProxySettings(batch_size=12, epochs=1), data, "cpu")
    monkeypatch.setattr(EagerStep, "_loss_of", limited(6))
    assert proxy.evaluate(HERE, tiny_network)["retried_half_batch"] == 1
    assert sizes[0] == 12 and set(sizes[1:]) == {6}
    monkeypatch.setattr(EagerStep, "_loss_of", limited(3))
    with pytest.raises(torch.OutOfMemoryError):
        proxy.evaluate(HERE, tiny_network)


def test_divergence_in_low_precision_is_tried_once_more_in_float32(
    data: ImageData, tiny_network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = EagerStep._loss_of

    def overflowing(self: EagerStep, logits: Tensor, target: Tensor) -> Tensor:
        return original(self, logits, target) * (float("nan") if logits.dtype == torch.bfloat16 else 1.0)

    monkeypatch.setattr(EagerStep, "_loss_of", overflowing)
    proxy = ProxyEvaluator(ProxySettings(batch_size=12, epochs=1, precision="bf16"), data, "cpu")
    found = proxy.evaluate(HERE, tiny_network, seed=2)
    plain = ProxyEvaluator(ProxySettings(batch_size=12, epochs=1), data, "cpu").evaluate(HERE, tiny_network, seed=2)
    assert found == {**plain, "retried_fp32": 1}

    monkeypatch.setattr(EagerStep, "_loss_of", lambda *_: torch.tensor(float("nan"), requires_grad=True))
    with pytest.raises(Diverged):
        proxy.evaluate(HERE, tiny_network, seed=2)


def test_precision_is_chosen_by_the_device() -> None:
    assert choose_precision(ProxySettings(), CPU) is None
    assert choose_precision(ProxySettings(precision="bf16"), CPU) == torch.bfloat16
    assert choose_precision(ProxySettings(precision="fp32"), torch.device("cuda")) is None


def test_the_moving_average_forgets_its_beginning_and_follows_the_weights() -> None:
    module = nn.Linear(1, 1, bias=False)
    average = moving_average(module, 0.9)
    values: list[float] = []
    for value in (1.0, 2.0, 3.0):
        nn.init.constant_(module.weight, value)
        average.update_parameters(module)
        values += [weight.item() for weight in average.module.parameters()]
    assert values[0] == 1.0  # the first update copies
    assert values[1] == pytest.approx(2 / 11 * 1 + 9 / 11 * 2)
    assert values[2] == pytest.approx(3 / 12 * values[1] + 9 / 12 * 3)


@pytest.mark.parametrize("settings", [{}, {"ema": 0.9, "mixup": 0.2, "optimizer": "sgd", "learning_rate": 0.05}])
def test_a_training_goes_on_from_its_checkpoint_as_if_it_had_not_stopped(
    settings: dict[str, Any], data: ImageData, tiny_network: Network, tmp_path: Path
) -> None:
    whole = training(tiny_network, data, **settings)
    whole.run(1)
    whole.run(2)
    first = training(tiny_network, data, **settings)
    first.run(1)
    save_checkpoint(tmp_path / "here" / "1.pt", first.state_dict())
    torch.manual_seed(99)  # another process, with another past
    second = training(tiny_network, data, seed=5, **settings)
    state = load_checkpoint(tmp_path / "here" / "1.pt", CPU)
    assert state is not None
    second.load_state_dict(state)
    assert second.cycles == [1]
    second.run(2)
    assert torch.equal(weights(whole.trained()), weights(second.trained()))


def test_an_evaluator_pauses_and_goes_on_to_the_same_score(
    data: ImageData, tiny_network: Network, tmp_path: Path
) -> None:
    proxy = ProxyEvaluator(ProxySettings(batch_size=12), data, "cpu")
    path = tmp_path / "7.pt"
    proxy.evaluate(HERE, tiny_network, 4, (1,), path, pause=True)
    assert path.exists()
    resumed = proxy.evaluate(HERE, tiny_network, 4, (1, 2), path)
    path.unlink()
    anew = proxy.evaluate(HERE, tiny_network, 4, (1, 2), path)  # its node is gone: trained again, to the same end
    assert resumed == anew and not path.exists()
    assert proxy.test(HERE, tiny_network, 4, (1, 2)).metrics["accuracy"] == anew["accuracy"]


@pytest.mark.parametrize("other", ["seed", "genes", "settings", "cycles", "network"])
def test_a_checkpoint_of_another_training_is_no_checkpoint(
    other: str, data: ImageData, tiny_network: Network, tmp_path: Path
) -> None:
    """As in a run directory that was used before."""
    path, proxy = tmp_path / "7.pt", ProxyEvaluator(ProxySettings(batch_size=12), data, "cpu")
    architecture, network, seed, cycles = HERE, tiny_network, 4, (2, 1)
    if other == "seed":
        seed = 5
    elif other == "genes":
        architecture = Architecture("tiny", (1,))
    elif other == "settings":
        proxy = ProxyEvaluator(ProxySettings(batch_size=12, learning_rate=0.01), data, "cpu")
    elif other == "cycles":
        cycles = (3, 1)
    else:
        architecture, network = (
            Architecture("tiny", (2,)),
            replace(tiny_network, stem=replace(tiny_network.stem, channels=12)),
        )
    expected = proxy.evaluate(architecture, network, seed, cycles)
    ProxyEvaluator(ProxySettings(batch_size=12), data, "cpu").evaluate(HERE, tiny_network, 4, (2,), path, pause=True)
    assert proxy.evaluate(architecture, network, seed, cycles, path) == expected


def test_what_diverged_in_scoring_is_trained_again_in_float32(
    data: ImageData, tiny_network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = ProxyEvaluator(ProxySettings(batch_size=12, precision="bf16"), data, "cpu")
    plain = ProxyEvaluator(ProxySettings(batch_size=12), data, "cpu").evaluate(HERE, tiny_network, 4, (1,))
    original = ProxyEvaluator._scores

    def scores(self: ProxyEvaluator, training: Training) -> dict[str, float]:
        if training.precision is not None:
            raise Diverged("a logit is not finite after training")
        return original(self, training)

    monkeypatch.setattr(ProxyEvaluator, "_scores", scores)
    found = proxy.evaluate(HERE, tiny_network, 4, (1,), tmp_path / "1.pt", pause=True)
    assert found == {**plain, "retried_fp32": 1}


def test_a_damaged_checkpoint_is_no_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "1.pt"
    assert load_checkpoint(path, CPU) is None
    path.write_bytes(b"nothing")
    assert load_checkpoint(path, CPU) is None
    save_checkpoint(Path("/proc/nowhere/1.pt"), {"a": 1})  # cannot be written: no fault of the trial


def test_an_estimate_is_near_and_touches_no_score(data: ImageData, tiny_network: Network) -> None:
    proxy = ProxyEvaluator(ProxySettings(batch_size=12, epochs=40), data, "cpu")
    before = proxy.evaluate(HERE, tiny_network, 1)
    found = proxy.estimate(HERE, tiny_network, 1)
    assert found["seconds"] > 0 and proxy.evaluate(HERE, tiny_network, 1) == before
    ten = ProxyEvaluator(ProxySettings(batch_size=12, epochs=400), data, "cpu").estimate(HERE, tiny_network, 1)
    assert ten["seconds"] > found["seconds"]


def test_parts_of_a_mapped_file_are_read_row_by_row(data: ImageData) -> None:
    images = Images.load(data.validation, CPU)
    pixels, labels = images.batch(torch.tensor([3, 0]))
    assert np.array_equal(pixels.numpy(), data.validation.images[[3, 0]])
    assert labels.tolist() == data.validation.labels[[3, 0]].tolist()
    assert len(images) == len(data.validation.labels) and len(images.pixels) == 60


@pytest.mark.parametrize(
    "change",
    [{"mixup": -1.0}, {"ema": 1.0}, {"rand_augment": 31}, {"micro_batch": 0}, {"drop_connect": 1.0}, {"dropout": -0.1}],
)
def test_impossible_settings_are_refused(change: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match=next(iter(change))):
        ProxySettings(**change)  # type: ignore[arg-type]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device on this machine")
def test_a_graphed_step_learns_what_an_eager_one_learns(data: ImageData, tiny_network: Network) -> None:
    scores = []
    for graph in (True, False):
        settings = ProxySettings(batch_size=12, epochs=8, learning_rate=0.01, cuda_graph=graph)
        scores.append(ProxyEvaluator(settings, data, "cuda").evaluate(HERE, tiny_network, 1)["accuracy"])
    assert min(scores) > 0.9


def test_a_capture_that_fails_is_a_broken_device(
    data: ImageData, tiny_network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen on an H200: nothing that draws random numbers works in a process whose capture failed."""
    from nas.evaluate.proxy import step as steps

    class Stream:
        def wait_stream(self, other: object) -> None: ...

    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "current_stream", Stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda _: nullcontext())
    monkeypatch.setattr(torch.cuda, "CUDAGraph", object)
    monkeypatch.setattr(torch.cuda, "graph", refuse)
    steps_run: list[int] = []
    whole = steps.EagerStep.__call__

    def counted(self: steps.EagerStep, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        steps_run.append(len(labels))
        return whole(self, images, labels)

    monkeypatch.setattr(steps.EagerStep, "__call__", counted)

    class Graphed:
        def evaluate(self, architecture: Architecture, network: Network | None) -> dict[str, float]:  # noqa: ARG002
            graphed = training(tiny_network, data)
            graphed._step = steps.GraphedStep(graphed._step)  # type: ignore[arg-type]
            graphed.run(3)
            return {"accuracy": 0.5}

    found = evaluate_safely(Graphed(), Job(0, HERE, None, 0), None)
    assert (found.status, found.fault) == ("failed", "device")
    assert "cuda_graph=false" in str(found.error)
    assert len(steps_run) == steps.WARM_UP_STEPS  # none after the capture has failed


@pytest.mark.parametrize("graphs", [True, False])
def test_only_our_own_networks_are_captured(data: ImageData, tiny_network: Network, graphs: bool) -> None:
    """A module of a space's own may do what no graph can hold."""
    evaluator = ProxyEvaluator(ProxySettings(cuda_graph=graphs), data, "cpu", lambda _: build(tiny_network))
    seen: list[bool] = []

    class Noted(Training):
        def __init__(self, module: Any, images: Any, normalise: Any, settings: ProxySettings, *rest: Any) -> None:
            seen.append(settings.cuda_graph)
            super().__init__(module, images, normalise, settings, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nas.evaluate.proxy.evaluator.Training", Noted)
        evaluator._training(HERE, tiny_network, 0, evaluator.settings, evaluator._train)
        evaluator._training(HERE, None, 0, evaluator.settings, evaluator._train)
    assert seen == [graphs, False]


def test_kernels_are_loaded_and_devices_have_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    from nas.evaluate.proxy.precision import indexed_device, load_kernels

    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    assert indexed_device("cuda") == torch.device("cuda:1") and indexed_device("cpu") == torch.device("cpu")
    load_kernels(torch.device("cpu"))
