"""Trials per hour and images per second: our proxy training against a plain loop and a loop from timm's parts.

    python -m benchmarks.proxy_throughput --workers 2 --networks 6
    python -m benchmarks.proxy_throughput --device cuda --pool processes --workers 4 --images 50000 --peers plain

All loops train the same networks (drawn around EfficientNet-B0's stage table) on the same images for the same epochs,
with AdamW, the same peak learning rate and the same batch size, in one run; the mean validation accuracies are printed
to show that no loop skips work. The plain loop is a typical first implementation: one process with torch's default
threads, a ``Dataset`` with per-image transforms behind a ``DataLoader``, NCHW, eager. The timm loop is written as
timm's users write it: ``create_loader``, ``create_optimizer_v2``, ``create_scheduler_v2`` and timm's label smoothing.
The start of our workers is not included in the rate, because it happens once in a run; it is printed separately. Needs
only torch, torchvision and numpy, Ray for ``--pool ray``, and timm for the timm loop.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from nas.core.cpu_tuning import tune_for_training
from nas.core.records import Architecture, Evaluation
from nas.evaluate.contract import Job
from nas.evaluate.data.image_data import ImageData, Part
from nas.evaluate.proxy.evaluator import ProxyEvaluator, share_gpu
from nas.evaluate.proxy.optimizers import make_optimizer, schedule, set_batch_norm_momentum
from nas.evaluate.proxy.settings import ProxySettings
from nas.search_spaces.module import build
from nas.search_spaces.network import Network
from nas.search_spaces.parts import Head, Stage, Stem

Train = Callable[[list[Job]], list[float]]
CLASSES = 10
_B0 = ((16, 1), (24, 2), (40, 2), (80, 2), (112, 1), (192, 2), (320, 1))


def draw_networks(count: int) -> list[Network]:
    """Draw networks with B0's widths and strides, and random expand ratios, kernels, layers and SE."""
    generator = np.random.default_rng(0)
    networks = []
    for number in range(count):
        stages = tuple(
            Stage(
                channels=channels,
                stride=stride,
                expand=int(generator.choice([1, 4, 6])),
                kernel=int(generator.choice([3, 5])),
                layers=int(generator.integers(1, 4)),
                se=float(generator.choice([0.0, 0.25])),
            )
            for channels, stride in _B0
        )
        networks.append(Network(224, 1000, Stem(channels=32), stages, Head(channels=1280), name=f"network{number}"))
    return networks


def draw_images(count: int, side: int) -> ImageData:
    """Return images of noise with a class-coloured patch; three quarters of them are for training."""
    generator = np.random.default_rng(1)
    labels = np.arange(count) % CLASSES
    pixels = generator.integers(0, 160, (count, side, side, 3), dtype=np.uint8)
    colours = generator.integers(0, 95, (CLASSES, 3), dtype=np.uint8)
    pixels[:, side // 4 : -side // 4, side // 4 : -side // 4] += colours[labels][:, None, None]
    cut = 3 * count // 4
    train, rest = Part.of(pixels[:cut], labels[:cut]), Part.of(pixels[cut:], labels[cut:])
    return ImageData(train, rest, rest, tuple(str(label) for label in range(CLASSES)))


class PlainImages(Dataset[tuple[Any, int]]):
    """A dataset of single images, as in torchvision's and timm's examples."""

    def __init__(self, part: Part, transform: Any = None) -> None:
        self.pixels, self.labels, self.transform = part.images, part.labels, transform

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        image = Image.fromarray(self.pixels[index])
        return (image if self.transform is None else self.transform(image)), int(self.labels[index])


def plain_loop(data: ImageData, settings: ProxySettings, device: str) -> Train:
    """Return the plain loop: a typical first implementation of the training."""
    to_float = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize([0.5] * 3, [0.5] * 3)]
    augmentation = [v2.RandomCrop(data.train.resolution, settings.crop_padding), v2.RandomHorizontalFlip()]
    loader = DataLoader(
        PlainImages(data.train, v2.Compose([*augmentation, *to_float])), settings.batch_size, shuffle=True
    )
    scored = DataLoader(PlainImages(data.validation, v2.Compose(to_float)), 256)

    def one(job: Job) -> float:
        torch.manual_seed(job.seed)
        module = make_module(job, data, settings).to(device)
        optimizer = make_optimizer(module, settings)
        loss_function = nn.CrossEntropyLoss(label_smoothing=settings.label_smoothing)
        steps, step = settings.epochs * len(loader), 0
        module.train()
        for _ in range(settings.epochs):
            for images, labels in loader:
                for group in optimizer.param_groups:
                    group["lr"] = settings.learning_rate * schedule(step, steps, settings.warmup)
                optimizer.zero_grad()
                loss_function(module(images.to(device)), labels.to(device)).backward()
                optimizer.step()
                step += 1
        return score(module, scored, device)

    return lambda jobs: [one(job) for job in jobs]


def timm_loop(data: ImageData, settings: ProxySettings, device: str, processes: int) -> Train:
    """Return the training loop as timm's users write it."""
    from timm.data import create_loader
    from timm.loss import LabelSmoothingCrossEntropy
    from timm.optim import create_optimizer_v2
    from timm.scheduler import create_scheduler_v2

    side = data.train.resolution
    common: dict[str, Any] = {
        "input_size": (3, side, side),
        "mean": [0.5] * 3,
        "std": [0.5] * 3,
        "num_workers": processes,
        "device": torch.device(device),
        "persistent_workers": processes > 0,
        "interpolation": "bilinear",
    }
    loader = create_loader(
        PlainImages(data.train),
        batch_size=settings.batch_size,
        is_training=True,
        scale=(0.8, 1.0),
        color_jitter=None,
        **common,
    )
    scored = create_loader(PlainImages(data.validation), batch_size=256, crop_pct=1.0, **common)

    def one(job: Job) -> float:
        torch.manual_seed(job.seed)
        module = make_module(job, data, settings).to(device)
        optimizer = create_optimizer_v2(
            module, opt="adamw", lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        scheduler, epochs = create_scheduler_v2(
            optimizer,
            sched="cosine",
            num_epochs=settings.epochs,
            step_on_epochs=False,
            updates_per_epoch=len(loader),
            warmup_epochs=0,
        )
        loss_function: Any = LabelSmoothingCrossEntropy(settings.label_smoothing)
        updates = 0
        for epoch in range(min(epochs, settings.epochs)):
            module.train()
            for images, labels in loader:
                optimizer.zero_grad()
                loss_function(module(images), labels).backward()
                optimizer.step()
                updates += 1
                scheduler.step_update(num_updates=updates)
            scheduler.step(epoch + 1)
        return score(module, scored, device)

    return lambda jobs: [one(job) for job in jobs]


def make_module(job: Job, data: ImageData, settings: ProxySettings) -> nn.Module:
    """Build a trial's network as our proxy does."""
    assert job.network is not None
    module = build(job.network.at(resolution=data.train.resolution, classes=CLASSES))
    set_batch_norm_momentum(module, settings.batch_norm_momentum)
    return module


@torch.no_grad()
def score(module: nn.Module, loader: Any, device: str) -> float:
    """Return the accuracy, a fraction."""
    module.eval()
    right = total = 0
    images: Tensor
    for images, labels in loader:
        right += int((module(images.to(device)).argmax(1) == labels.to(device)).sum())
        total += len(labels)
    return right / total


_evaluator: ProxyEvaluator | None = None


def _start(settings: ProxySettings, data: ImageData, device: str, share: float) -> None:
    global _evaluator
    tune_for_training()
    share_gpu(device, share)
    _evaluator = ProxyEvaluator(settings, data, device)


def _run(job: Job) -> float:
    assert _evaluator is not None
    return _evaluator.evaluate(job.architecture, job.network, job.seed)["accuracy"]


@contextmanager
def ours(pool: str, workers: int, settings: ProxySettings, data: ImageData, device: str) -> Iterator[Train]:
    """Yield our proxy training, which runs in this process, in plain processes, or on Ray's workers."""
    if pool == "none" or workers == 0:
        _start(settings, data, device, 1.0)
        yield lambda jobs: [_run(job) for job in jobs]
        return
    if pool == "processes":
        context = multiprocessing.get_context("spawn")
        with context.Pool(workers, _start, (settings, data, device, 1 / workers)) as processes:
            yield lambda jobs: list(processes.imap_unordered(_run, jobs))
        return
    from nas.evaluate.recipe import EvaluatorRecipe
    from nas.evaluate.workers.jobs import run_jobs
    from nas.evaluate.workers.ray_pool import RayPool

    ray_pool = RayPool(EvaluatorRecipe(settings, device=device), data, workers=workers)

    def train(jobs: list[Job]) -> list[float]:
        found: list[float] = []

        def ended(_: Job, evaluation: Evaluation) -> None:
            assert evaluation.status == "ok", evaluation.error
            found.append(evaluation.metrics["accuracy"])

        run_jobs(jobs, ray_pool, ended)
        return found

    try:
        yield train
    finally:
        ray_pool.close()


def gpu_share(settings: ProxySettings, data: ImageData, job: Job) -> float:
    """Return the share of a trial's time in which the GPU computes; the trial runs alone, after a warm-up trial."""
    from torch.profiler import ProfilerActivity, profile

    proxy = ProxyEvaluator(settings, data, "cuda")
    proxy.evaluate(job.architecture, job.network, job.seed)
    start = time.perf_counter()
    with profile(activities=[ProfilerActivity.CUDA]) as profiled:
        proxy.evaluate(job.architecture, job.network, job.seed)
        torch.cuda.synchronize()
    seconds = time.perf_counter() - start
    busy_us = sum(float(event.self_device_time_total) for event in profiled.key_averages())
    return busy_us / 1e6 / seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=int, default=6)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--pool", choices=("ray", "processes", "none"), default="ray")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--images", type=int, default=2000, help="number of images; three quarters train")
    parser.add_argument("--resolution", type=int, default=32)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--peers", nargs="*", choices=("plain", "timm"), default=("plain", "timm"))
    parser.add_argument("--loader-processes", type=int, default=2, help="processes of timm's loader")
    arguments = parser.parse_args()
    data = draw_images(arguments.images, arguments.resolution)
    settings = ProxySettings(epochs=arguments.epochs, batch_size=arguments.batch_size)
    jobs = [
        Job(number, Architecture("benchmark", (number,)), network, number)
        for number, network in enumerate(draw_networks(arguments.networks))
    ]
    images = len(jobs) * arguments.epochs * len(data.train.labels)
    print(f"{len(jobs)} networks, {arguments.epochs} epochs of {data.describe()}, batch {arguments.batch_size}")
    rates: dict[str, float] = {}

    def report(name: str, seconds: float, accuracies: list[float]) -> None:
        rates[name] = len(jobs) / seconds
        print(
            f"{name:<6} {3600 * rates[name]:>8.1f} trials/h {images / seconds:>8.0f} images/s  "
            f"mean accuracy {np.mean(accuracies):.3f}",
            flush=True,
        )

    start = time.perf_counter()
    with ours(arguments.pool, arguments.workers, settings, data, arguments.device) as train:
        train(jobs[: max(1, arguments.workers)])
        ready_s, start = time.perf_counter() - start, time.perf_counter()
        accuracies = train(jobs)
        report("ours", time.perf_counter() - start, accuracies)
    peers = {
        "plain": lambda: plain_loop(data, settings, arguments.device),
        "timm": lambda: timm_loop(data, settings, arguments.device, arguments.loader_processes),
    }
    for name in arguments.peers:
        loop = peers[name]()
        loop(jobs[:1])  # warm-up, as for our training
        start = time.perf_counter()
        accuracies = loop(jobs)
        report(name, time.perf_counter() - start, accuracies)
        print(f"       ours is {rates['ours'] / rates[name]:.2f}x {name} with {arguments.workers} workers")
    print(f"start of our workers and their first trials, once in a run: {ready_s:.1f} s")
    if arguments.device == "cuda":
        print(f"the GPU computes {gpu_share(settings, data, jobs[0]):.0%} of the time of one trial that runs alone")


if __name__ == "__main__":
    main()
