"""Training two networks with the same settings, several times each, to test a predicted gain at small scale."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nas.core.callback import SILENT, Callback
from nas.core.errors import InputError, WorkError
from nas.core.records import Architecture, Evaluation
from nas.evaluate.contract import Job
from nas.evaluate.data.announce import announce_images
from nas.evaluate.data.identity import DataIdentity
from nas.evaluate.data.load import load_data
from nas.evaluate.data.settings import DataSettings
from nas.evaluate.proxy.settings import ProxySettings
from nas.evaluate.recipe import EvaluatorRecipe
from nas.evaluate.workers.jobs import open_pool, run_jobs
from nas.evaluate.workers.settings import WorkerSettings
from nas.search_spaces.network import Network

SPACE = "confirm"


@dataclass(frozen=True, slots=True)
class Confirmed:
    """Accuracies of one network on the validation split, one for each seed that did not fail, as fractions."""

    name: str
    accuracies: tuple[float, ...]
    failures: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """Mean difference of the first network's accuracy from the second's, and its 95% interval (Welch's t)."""

    mean: float
    low: float
    high: float


def confirm(
    networks: Sequence[Network],
    data: DataSettings,
    settings: ProxySettings,
    seeds: int,
    workers: int = 0,
    callback: Callback = SILENT,
    check: Callable[[DataIdentity], None] | None = None,
) -> list[Confirmed]:
    """Train every network once for each seed, all with the same settings.

    Args:
        networks: the networks.
        data: settings of the images.
        settings: settings of the trainings.
        seeds: number of trainings of each network.
        workers: number of Ray workers; 0 trains in this process.
        callback: receives a message after each training.
        check: called with the identity of the images; raises if they are not those that are expected.

    Raises:
        InputError: if the data cannot be read.
        WorkError: if a network could not be trained with any seed.
    """
    for network in networks:
        try:
            network.at(resolution=data.resolution)
        except InputError as error:
            raise InputError(f"{network.name} at {data.resolution} px: {error}") from None
    jobs = [
        Job(seed * len(networks) + index, Architecture(SPACE, (index, seed)), network, seed)
        for seed in range(seeds)
        for index, network in enumerate(networks)
    ]
    scores: list[dict[int, float]] = [{} for _ in networks]
    faults: list[list[str]] = [[] for _ in networks]

    def ended(job: Job, evaluation: Evaluation) -> None:
        index, seed = job.architecture.genes
        if evaluation.status == "ok":
            scores[index][seed] = evaluation.metrics["accuracy"]
            shown = f"{evaluation.metrics['accuracy']:.2%}"
        else:
            faults[index].append(str(evaluation.error))
            shown = f"failed: {evaluation.error}"
        callback.message(f"{networks[index].name}, seed {seed}: {shown} ({evaluation.seconds:.0f} s)")

    images = load_data(data, callback.images_decoded)
    if check is not None:
        check(DataIdentity.of(images))
    announce_images(images, data.source, callback)
    with open_pool(EvaluatorRecipe(settings), lambda: images, WorkerSettings(), workers) as pool:
        run_jobs(jobs, pool(), ended)
    for network, own, failures in zip(networks, scores, faults, strict=True):
        if not own:
            raise WorkError(f"{network.name} could not be trained: {'; '.join(sorted(set(failures)))}")
    return [
        Confirmed(network.name, tuple(own[seed] for seed in sorted(own)), tuple(failures))
        for network, own, failures in zip(networks, scores, faults, strict=True)
    ]


def difference(first: Confirmed, second: Confirmed) -> Difference | None:
    """Compare two networks; ``None`` if either has fewer than two trainings, or if neither shows any variance."""
    from scipy.stats import t

    sides = [first.accuracies, second.accuracies]
    if min(map(len, sides)) < 2:
        return None
    mean = statistics.fmean(sides[0]) - statistics.fmean(sides[1])
    parts = [statistics.variance(side) / len(side) for side in sides]
    if not sum(parts):  # without any variance, the noise cannot be estimated
        return None
    freedom = sum(parts) ** 2 / sum(part**2 / (len(side) - 1) for part, side in zip(parts, sides, strict=True))
    half = float(t.ppf(0.975, freedom)) * math.sqrt(sum(parts))
    return Difference(mean, mean - half, mean + half)
