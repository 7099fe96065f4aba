"""Searches whose networks are scored with the weights of a supernet: what they take from it, and what they keep."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.core.changes import Changes, laid_over
from nas.core.errors import InputError
from nas.core.records import Architecture, Trial
from nas.core.units import format_quantity
from nas.evaluate.data.identity import DataIdentity, check_same_images
from nas.evaluate.data.image_data import ImageData
from nas.evaluate.data.view import View
from nas.evaluate.objective.limits import Limit, Limits
from nas.evaluate.supernet.settings import SharedWeightsSettings
from nas.search_spaces.network import Network
from nas.search_spaces.space import SearchSpace
from nas.weights.names import WEIGHTS

if TYPE_CHECKING:
    from nas.evaluate.supernet.file import SharedWeights

_KEY = "supernet"
FRONT_WEIGHTS = "weights"
"""Folder in a run's directory: the inherited weights of the other networks of its front, by the numbers of their
trials."""


def with_supernet(changes: Changes) -> dict[str, Any]:
    """Return a configuration, or changes to one, with what follows from the supernet that it names: space and images.

    Raises:
        InputError: if there is no such supernet.
    """
    evaluator = changes.get("evaluator")
    reference = evaluator.get(_KEY) if isinstance(evaluator, Mapping) else None
    if not isinstance(reference, str):
        return dict(changes)
    weights = read_about(reference)
    known: dict[str, Any] = {"space": weights.reference, "data": dict(weights.data), "evaluator": {"name": _KEY}}
    return laid_over(known, changes)


def read_about(reference: str) -> SharedWeights:
    """Return a supernet without its tensors.

    Raises:
        InputError: if there is no such supernet.
    """
    from nas.evaluate.supernet.file import SharedWeights, supernet_file  # loads torch

    return SharedWeights.read(supernet_file(reference), with_tensors=False)


def forget_weights(folder: Path) -> None:
    """Remove the weights of an earlier baseline and front from a run's directory."""
    (folder / WEIGHTS).unlink(missing_ok=True)
    shutil.rmtree(folder / FRONT_WEIGHTS, ignore_errors=True)


def weights_of_front(baseline: int, front: Sequence[Trial]) -> dict[int, str]:
    """Return the files of the weights of a baseline and a front in the run's directory, by the trials' numbers."""
    names = {trial.number: f"{FRONT_WEIGHTS}/{trial.number}.safetensors" for trial in front}
    return {**names, baseline: WEIGHTS}


def within(weights: SharedWeights, limits: Limits) -> Limits:
    """Return the limits of a search with those of its supernet, for costs that the search does not limit.

    Raises:
        InputError: if the search's limits reach beyond those of the supernet.
    """
    own = {limit.metric: limit for limit in limits}
    for metric, (low, high) in weights.limits.items():
        most = math.inf if high is None else high
        given = own.get(metric)
        if given is None:
            own[metric] = Limit(metric, most, low, "the supernet's limits")
        elif given.low == 0 and low <= given.high <= most:
            own[metric] = replace(given, low=low)
        elif given.low < 0.99 * low or given.high > most:
            words = (
                f"up to {format_quantity(most)}" if not low else f"{format_quantity(low)} to {format_quantity(most)}"
            )
            raise InputError(
                f"{given.flag or metric}: the supernet was trained for networks of {words} {metric}; search inside "
                "that range, or train another with: nas supernet train"
            )
    return Limits(tuple(own.values()))


def views_of(settings: SharedWeightsSettings) -> tuple[View, View]:
    """Return what is stored of every image: what the supernet's training has scored."""
    weights = read_about(settings.supernet)
    view = View(weights.form.resolution, share=weights.crop_share, interpolation=weights.interpolation)
    return view, view


def check_resolution(weights: SharedWeights, resolution: int) -> None:
    """Check that the images of a search have the resolution of its supernet.

    Raises:
        InputError: if they have another.
    """
    own = weights.data.get("resolution", resolution)
    if resolution != own:
        raise InputError(f"data.resolution: the supernet's images have {own} px, got {resolution}; leave it out")


def check_images(settings: SharedWeightsSettings, data: ImageData, source: str) -> None:
    """Check that the images and their split are those of the supernet's training.

    Raises:
        InputError: saying what differs.
    """
    weights = read_about(settings.supernet)
    way_on = "Leave --data out to take the supernet's images"
    check_same_images(weights.images, DataIdentity.of(data), "--supernet", source, way_on)


def keep_weights(
    files: Mapping[Path, tuple[Architecture, Network]],
    settings: SharedWeightsSettings,
    space: SearchSpace,
    data: ImageData,
    device: str = "auto",
) -> None:
    """Write the inherited weights of networks, each with statistics of its own.

    Args:
        files: the files to write, each with the network's genotype and its stage table.
        settings: the supernet.
        space: its space.
        data: the images.
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        WorkError: if one cannot be written.
    """
    from nas.evaluate.supernet.evaluator import SupernetEvaluator
    from nas.evaluate.supernet.file import SharedWeights, supernet_file
    from nas.weights.file import Weights

    about = SharedWeights.read(supernet_file(settings.supernet), with_tensors=False)
    evaluator = SupernetEvaluator(settings, space, data, device)
    for path, (architecture, network) in files.items():
        statistics = evaluator.calibrated(architecture).statistics
        tensors = {**evaluator.supernet.extract(architecture).state_dict(), **statistics}
        trained = evaluator.supernet.network(architecture)  # with the supernet's BatchNorm settings
        head = replace(trained.head, dropout=network.head.dropout)
        named = replace(trained, name=network.name, drop_connect=network.drop_connect, head=head)
        path.parent.mkdir(exist_ok=True)
        Weights(
            named,
            tensors,
            about.classes,
            about.mean,
            about.std,
            about.crop_share,
            "the supernet",
            interpolation=about.interpolation,
            pixel_range=about.pixel_range,
            images=about.images,
            seen=about.seen,
        ).save(path)
