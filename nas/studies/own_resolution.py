"""Proxy trainings of networks with different resolutions, on images that are stored at one resolution."""

from __future__ import annotations

from collections.abc import Iterable

from nas.core.errors import InputError
from nas.search.config import RunConfig
from nas.search_spaces.network import Network

# Data sets whose images are not larger than the proxy's resolution: storing them larger would only blur them.
_SMALL_IMAGES = ("digits", "cifar10", "cifar100", "svhn", "fashion-mnist")


def train_at_own_resolution(config: RunConfig, baseline: Network, networks: Iterable[Network]) -> RunConfig:
    """Return a configuration in which the baseline trains at ``data.resolution``, and others in proportion.

    Images are stored at the largest resolution that any network trains at, so that larger networks get more detail.
    Images of small data sets are stored at ``data.resolution``. If ``evaluator.resolution`` is set, the baseline trains
    at that resolution, and images are stored at ``data.resolution``.

    Raises:
        InputError: if networks are not trained by the proxy.
    """
    if config.proxy is None:
        raise InputError(f"evaluator: '{config.evaluator['name']}' trains no scaled networks; use the proxy")
    evaluator = {**config.evaluator, "reference_resolution": baseline.resolution}
    if "resolution" in config.evaluator:
        return config.model_copy(update={"evaluator": evaluator})
    seen = config.data.resolution
    largest = max(round(seen * network.resolution / baseline.resolution) for network in networks)
    kept = seen if config.data.source in _SMALL_IMAGES else max(seen, largest)
    return config.model_copy(
        update={
            "evaluator": {**evaluator, "resolution": seen},
            "data": config.data.model_copy(update={"resolution": kept}),
        }
    )
