"""Trials per hour: our workers against a plain loop, in one run, on the same networks, images and epochs.

    python -m benchmarks.trials_per_hour --workers 2 --networks 6

The plain loop is what one writes first: one process with torch's default threads, NCHW memory, a ``Dataset`` with
per-image transforms behind a ``DataLoader``, eager mode. Both train with the same optimizer, schedule, batch size and
number of epochs; the mean validation accuracies are printed to show that neither skips work. Ray's start is not in the
rate (it is paid once a run) but printed beside it.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from nas.evaluate.data.image_data import ImageData, Part
from nas.evaluate.data.load import load_data
from nas.evaluate.data.settings import DataSettings
from nas.evaluate.evaluators import EvaluatorRecipe
from nas.evaluate.faults import Job
from nas.evaluate.proxy_settings import ProxySettings
from nas.evaluate.ray_pool import RayPool
from nas.evaluate.training.optimizers import make_optimizer, schedule, set_batch_norm_momentum
from nas.search_spaces import space as spaces
from nas.search_spaces.catalogue import load_space
from nas.search_spaces.module import build
from nas.search_spaces.network import Network


class PlainImages(Dataset[tuple[Tensor, int]]):
    """Images transformed one by one, as torchvision's examples do."""

    def __init__(self, part: Part, padding: int, train: bool) -> None:
        augmentation = [v2.RandomCrop(part.images.shape[1], padding)] if train else []
        to_float = [v2.ToDtype(torch.float32, scale=True), v2.Normalize([0.5] * 3, [0.5] * 3)]
        self.part, self.transform = part, v2.Compose([v2.ToImage(), *augmentation, *to_float])

    def __len__(self) -> int:
        return len(self.part.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(self.part.images[index]), int(self.part.labels[index])


def plain_trial(network: Network, data: ImageData, settings: ProxySettings, seed: int) -> float:
    """Train one network the plain way and return its validation accuracy."""
    torch.manual_seed(seed)
    module = build(network.at(resolution=data.train.images.shape[1], classes=len(data.classes)))
    set_batch_norm_momentum(module, settings.batch_norm_momentum)
    optimizer = make_optimizer(module, settings)
    loss_function = nn.CrossEntropyLoss(label_smoothing=settings.label_smoothing)
    loader = DataLoader(PlainImages(data.train, settings.crop_padding, True), settings.batch_size, shuffle=True)
    steps, step = settings.epochs * len(loader), 0
    module.train()
    for _ in range(settings.epochs):
        for images, labels in loader:
            for group in optimizer.param_groups:
                group["lr"] = settings.learning_rate * schedule(step, steps, settings.warmup)
            optimizer.zero_grad()
            loss_function(module(images), labels).backward()
            optimizer.step()
            step += 1
    module.eval()
    with torch.no_grad():
        batches = DataLoader(PlainImages(data.validation, 0, False), 256)
        return sum(int((module(images).argmax(1) == labels).sum()) for images, labels in batches) / len(batches.dataset)  # type: ignore[arg-type]


def pooled(jobs: list[Job], pool: RayPool) -> list[float]:
    """Evaluate jobs on a pool; return their accuracies."""
    waiting, accuracies, running = list(jobs), [], 0
    while waiting or running:
        while waiting and running < pool.capacity:
            pool.submit(waiting.pop(0))
            running += 1
        for _, evaluation in pool.gather(1.0):
            running -= 1
            assert evaluation.status == "ok", evaluation.error
            accuracies.append(evaluation.metrics["accuracy"])
    return accuracies


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", default="efficientnet")
    parser.add_argument("--networks", type=int, default=6)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--batch-size", type=int, default=32)
    arguments = parser.parse_args()
    data = load_data(DataSettings(), seed=0)
    settings = ProxySettings(epochs=arguments.epochs, batch_size=arguments.batch_size)
    space, generator = load_space(arguments.space), np.random.default_rng(0)
    jobs = []
    for number in range(arguments.networks):
        architecture = spaces.sample(space, generator)
        jobs.append(Job(number, architecture, spaces.decode(space, architecture), seed=number))

    start = time.perf_counter()
    pool = RayPool(EvaluatorRecipe(settings, device="cpu"), data, workers=arguments.workers)
    warm_up = [Job(job.number, job.architecture, job.network, job.seed) for job in jobs[: arguments.workers]]
    ready = time.perf_counter()
    pooled(warm_up, pool)
    start_s, start = ready - start, time.perf_counter()
    ours = pooled(jobs, pool)
    ours_s = time.perf_counter() - start
    pool.close()

    plain_trial(jobs[0].network, data, settings, 0) if jobs[0].network else None  # as warm as ours
    start = time.perf_counter()
    plain = [plain_trial(job.network, data, settings, job.seed) for job in jobs if job.network]
    plain_s = time.perf_counter() - start

    images = len(jobs) * arguments.epochs * len(data.train.labels)
    print(f"{len(jobs)} networks of {arguments.space}, {arguments.epochs} epochs of {data.describe()}")
    for name, seconds, accuracies in (("ours", ours_s, ours), ("plain loop", plain_s, plain)):
        print(
            f"{name:<11} {3600 * len(jobs) / seconds:7.1f} trials/h  {images / seconds:6.0f} images/s  "
            f"mean accuracy {np.mean(accuracies):.3f}"
        )
    print(f"ratio {plain_s / ours_s:.2f} with {arguments.workers} workers; Ray's start, once a run: {start_s:.1f} s")


if __name__ == "__main__":
    main()
