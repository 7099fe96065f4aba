"""Checks that a user's module builds, maps images to logits and trains; an error names the submodule that failed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from nas.core.errors import InputError
from nas.core.user_code import describe
from nas.evaluate.cost.module import as_module, on_meta
from nas.search_spaces.operations import INPUT_CHANNELS


def try_without_memory(build: Callable[[], Any], resolution: int | None, source_path: str | None = None) -> None:
    """Build a module on the meta device and run one image through it, if the resolution is known.

    A module that fails there is tried again on the CPU, because errors are clearer there. A module that fails only on
    the meta device can be trained, but its costs cannot be counted.

    Args:
        build: function that makes the module.
        resolution: side of the image in pixels.
        source_path: the user's file, used to report the line of an error.

    Raises:
        InputError: naming the submodule that failed, or the output that was returned instead of logits.
    """
    try:
        with torch.no_grad():
            _try(lambda: on_meta(build), resolution, source_path, "meta")
    except InputError as error:
        with torch.no_grad():
            _try(lambda: as_module(build()).eval(), resolution, source_path, "cpu")
        raise InputError(f"only on the meta device, where costs are counted: {error}") from None


def try_training_step(
    build: Callable[[], nn.Module], resolution: int, source_path: str | None = None, batch: int = 2
) -> None:
    """Run a forward and a backward pass with a random batch.

    Raises:
        InputError: naming the submodule that failed, or if logits or gradients are missing or not finite.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        try:
            module = build().train()
        except Exception as error:
            raise InputError(f"the module cannot be built on the CPU: {describe(error, source_path)}") from error
        logits = _run(module, torch.randn(batch, INPUT_CHANNELS, resolution, resolution), source_path)
    if not logits.requires_grad:
        raise InputError("the logits depend on no parameter: the module cannot be trained")
    if not torch.isfinite(logits).all():
        raise InputError("the untrained module's logits are not finite")
    try:
        torch.autograd.backward(logits.logsumexp(1).sum())
    except Exception as error:
        raise InputError(f"the backward pass failed: {describe(error, source_path)}") from error
    for name, parameter in module.named_parameters():
        if parameter.grad is not None and not torch.isfinite(parameter.grad).all():
            raise InputError(f"the gradient of '{name}' is not finite")


def macs_by_part(build: Callable[[], Any], resolution: int) -> dict[str, int]:
    """Return the multiply-adds of the module's direct submodules, by name."""
    module = on_meta(build)
    with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(torch.empty(1, INPUT_CHANNELS, resolution, resolution))
    counts = counter.get_flop_counts()
    names = [name for name, _ in module.named_children()]
    own = type(module).__name__

    def total(path: str) -> int:
        """Return the count under a path. A list of modules is never called itself, so its members are summed."""
        if path in counts:
            return sum(counts[path].values())
        depth = path.count(".") + 1
        return sum(total(key) for key in counts if key.startswith(f"{path}.") and key.count(".") == depth)

    found = {name: total(f"{own}.{name}") for name in names}
    return {name: macs // 2 for name, macs in found.items()}


def _try(make: Callable[[], nn.Module], resolution: int | None, source_path: str | None, device: str) -> None:
    try:
        module = make()
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"build failed: {describe(error, source_path)}") from error
    if resolution is not None:
        with torch.device(device):
            _run(module, torch.zeros(1, INPUT_CHANNELS, resolution, resolution), source_path)


def _run(module: nn.Module, images: Tensor, source_path: str | None) -> Tensor:
    """Run the module and return its logits; an error names the innermost module that was running."""
    with _running_modules(module) as running:
        try:
            logits = module(images)
        except Exception as error:
            place = running[-1] if running else "the module itself"
            raise InputError(f"the forward pass failed in {place}: {describe(error, source_path)}") from error
    if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != len(images):
        got = f"shape {tuple(logits.shape)}" if isinstance(logits, Tensor) else f"a {type(logits).__name__}"
        raise InputError(f"expected logits of shape (batch, classes) = ({len(images)}, classes), got {got}")
    return logits


@contextmanager
def _running_modules(module: nn.Module) -> Iterator[list[str]]:
    """Yield a list that holds the names of the modules that are running, outermost first."""
    running: list[str] = []
    hooks = []
    scripted = isinstance(module, torch.jit.ScriptModule)  # does not accept hooks
    for name, part in () if scripted else module.named_modules():
        label = f"'{name}' ({type(part).__name__})" if name else f"the module itself ({type(part).__name__})"
        hooks.append(part.register_forward_pre_hook(lambda *_, label=label: running.append(label)))
        hooks.append(part.register_forward_hook(lambda *_: running.pop() and None))
    try:
        yield running
    finally:
        for hook in hooks:
            hook.remove()
