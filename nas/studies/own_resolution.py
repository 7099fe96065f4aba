"""Proxies of networks that differ in resolution: each trains at its own, on images kept at one."""

from __future__ import annotations

from collections.abc import Iterable

from nas.core.errors import InputError
from nas.search.config import RunConfig
from nas.search_spaces.network import Network

# Data sets whose images are no larger than what proxies see: keeping them larger would only blur them.
SMALL_IMAGES = ("digits", "cifar10", "cifar100", "svhn", "fashion-mnist")


def train_at_own_resolution(config: RunConfig, baseline: Network, networks: Iterable[Network]) -> RunConfig:
    """Return a configuration in which the baseline trains at ``data.resolution``, and others in proportion.

    Images are kept at the largest side that any network sees, so that more pixels say more; those of small data sets
    as they are. Who sets ``evaluator.resolution`` decides both: then ``data.resolution`` is where images are kept.

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
    kept = seen if config.data.source in SMALL_IMAGES else max(seen, largest)
    return config.model_copy(
        update={
            "evaluator": {**evaluator, "resolution": seen},
            "data": config.data.model_copy(update={"resolution": kept}),
        }
    )
