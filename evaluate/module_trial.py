"""Trying a module that somebody wrote: does it build, map images to logits, and train; and if not, where not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from nas.evaluate.module_cost import on_meta
from nas.search_spaces.errors import InputError
from nas.search_spaces.layers import INPUT_CHANNELS
from nas.search_spaces.user_code import describe


def try_on_meta(build: Callable[[], Any], resolution: int | None) -> None:
    """Build without memory and run one image through, if its resolution is known.

    Raises:
        InputError: naming the module inside that failed, or what came out instead of logits.
    """
    try:
        module = on_meta(build)
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"build failed: {describe(error)}") from error
    if resolution is not None:
        with torch.device("meta"), torch.no_grad():
            _check_logits(_run(module, torch.empty(1, INPUT_CHANNELS, resolution, resolution)), 1)


def try_training_step(build: Callable[[], nn.Module], resolution: int, batch: int = 2) -> None:
    """Run a real batch forwards and backwards.

    Raises:
        InputError: naming the module inside that failed, or that logits or gradients are missing or not finite.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = build().train()
        logits = _run(module, torch.randn(batch, INPUT_CHANNELS, resolution, resolution))
    _check_logits(logits, batch)
    if not torch.isfinite(logits).all():
        raise InputError("the untrained module's logits are not finite")
    try:
        torch.autograd.backward(logits.logsumexp(1).sum())
    except Exception as error:
        raise InputError(f"the backward pass failed: {describe(error)}") from error
    if all(parameter.grad is None for parameter in module.parameters()):
        raise InputError("no parameter gets a gradient: the module cannot be trained")


def macs_by_part(build: Callable[[], Any], resolution: int) -> dict[str, int]:
    """Return the multiply-adds of the module's direct parts."""
    module = on_meta(build)
    with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(torch.empty(1, INPUT_CHANNELS, resolution, resolution))
    counts = counter.get_flop_counts()
    names = [name for name, _ in module.named_children()]
    found = {name: sum(counts.get(f"{type(module).__name__}.{name}", {}).values()) for name in names}
    return {name: macs // 2 for name, macs in found.items()}


def _run(module: nn.Module, images: Tensor) -> Tensor:
    """Run the module; an error names the innermost module that was running."""
    with _current_module(module) as running:
        try:
            result: Tensor = module(images)
        except Exception as error:
            place = running[-1] if running else "the module itself"
            raise InputError(f"the forward pass failed in {place}: {describe(error)}") from error
    return result


@contextmanager
def _current_module(module: nn.Module) -> Iterator[list[str]]:
    """Keep the names of the modules that are running, outermost first."""
    running: list[str] = []
    hooks = []
    for name, part in module.named_modules():
        label = f"'{name}' ({type(part).__name__})" if name else f"the module itself ({type(part).__name__})"
        hooks.append(part.register_forward_pre_hook(lambda *_, label=label: running.append(label)))
        hooks.append(part.register_forward_hook(lambda *_: running.pop() and None))
    try:
        yield running
    finally:
        for hook in hooks:
            hook.remove()


def _check_logits(logits: Any, batch: int) -> None:
    if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != batch:
        got = f"shape {tuple(logits.shape)}" if isinstance(logits, Tensor) else f"a {type(logits).__name__}"
        raise InputError(f"expected logits of shape (batch, classes) = ({batch}, classes), got {got}")
