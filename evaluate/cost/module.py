"""MACs and params of any torch module, counted on the meta device without memory or computation for tensors."""

from __future__ import annotations

import copy
from collections.abc import Callable
from itertools import chain

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from nas.core.errors import InputError
from nas.evaluate.cost.exact import Cost
from nas.search_spaces.operations import INPUT_CHANNELS


def module_cost(build: Callable[[], nn.Module], resolution: int | None) -> Cost:
    """Count a module's multiply-adds for one image of side ``resolution`` and its parameters.

    ``FlopCounterMode`` counts two operations for each multiply-add. Without a resolution, MACs are 0 (unknown).
    """
    module = on_meta(build)
    with torch.device("meta"):
        params = sum(parameter.numel() for parameter in module.parameters())
        if resolution is None:
            return Cost(0, params)
        image = torch.empty(1, INPUT_CHANNELS, resolution, resolution)
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            module(image)
    return Cost(counter.get_total_flops() // 2, params)


def on_meta(build: Callable[[], nn.Module]) -> nn.Module:
    """Build a module on the meta device.

    A module whose constructor reads values (``linspace(...).item()``) is built in memory first, and then
    copied to the meta device.

    Raises:
        InputError: if ``build`` does not return a module.
    """
    try:
        with torch.device("meta"):
            module = as_module(build())
    except Exception:
        module = as_module(build())
    if all(tensor.is_meta for tensor in chain(module.parameters(), module.buffers())):
        return module.eval()
    return copy.deepcopy(module).to("meta").eval()  # a copy, because ``build`` may keep a reference to its module


def as_module(built: object) -> nn.Module:
    """Return ``built`` if it is a module.

    Raises:
        InputError: if it is not a module.
    """
    if not isinstance(built, nn.Module):
        raise InputError(f"build: expected a torch.nn.Module, got a {type(built).__name__}")
    return built
