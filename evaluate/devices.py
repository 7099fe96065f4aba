"""Speed of networks on hardware, predicted before training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nas.core.errors import InputError
from nas.evaluate.cost.device import DeviceModel
from nas.search_spaces.network import Network
from nas.search_spaces.space import SearchSpace


def load_device(reference: str, space: SearchSpace, max_error: float = 0.1) -> DeviceModel:
    """Return a device of the surrogate by name, or a latency table by its file.

    Args:
        reference: name of a device such as ``vck190``, or a FILE.json of ``nas latency build``.
        space: search space of the genotypes that will be predicted.
        max_error: largest mean relative error on whole networks at which a latency table is accepted.

    Raises:
        InputError: if there is no such device, it does not cover the space, or its table is not accurate enough.
    """
    if reference.endswith(".json"):
        from nas.evaluate.cost.latency.device import TableDevice

        return TableDevice.read(Path(reference), space, max_error)
    from nas.evaluate.imagenet.device import SurrogateDevice

    return SurrogateDevice(reference, space)


def device_changes(
    reference: str, space: SearchSpace, genes: tuple[int, ...], others: Sequence[tuple[int, ...]]
) -> dict[str, list[float]]:
    """Return by metric how much the speed of ``others`` differs from that of ``genes``.

    Raises:
        InputError: as ``load_device``.
    """
    costs = load_device(reference, space).costs(np.array([genes, *others]))
    return {metric: (values[1:] - values[0]).tolist() for metric, values in costs.items()}


def network_speed(reference: str, network: Network) -> tuple[dict[str, float], str]:
    """Return the predicted speed of one network on a device, by metric, and the device's note.

    Raises:
        InputError: if there is no such device, or it does not cover the network.
    """
    if reference.endswith(".json"):
        from nas.evaluate.cost.latency.device import table_note
        from nas.evaluate.cost.latency.table import read_table

        table = read_table(Path(reference))
        return {"latency_ms": table.predict_ms(network)}, table_note(table)
    from nas.evaluate.imagenet.device import SurrogateDevice
    from nas.evaluate.imagenet.skeleton import genes_of, skeleton

    device = SurrogateDevice(reference, skeleton())
    try:
        genes = np.array([genes_of(network)])
    except InputError as error:
        raise InputError(
            f"--device {reference}: it was measured only with networks on EfficientNet-B0's skeleton: {error}"
        ) from None
    return {name: float(values[0]) for name, values in device.costs(genes).items()}, device.note
