"""Comparison of our arithmetic with other counters of the same built module, with every difference explained."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import torch
from torch import nn

from nas.evaluate.cost.exact import network_cost
from nas.evaluate.cost.module import module_cost
from nas.search_spaces.module import build
from nas.search_spaces.network import Network
from nas.search_spaces.operations import INPUT_CHANNELS

# Module types that other counters count in addition to convolutions and linear layers, by group.
_EXTRAS: dict[str, tuple[type[nn.Module], ...]] = {
    "BatchNorm": (nn.BatchNorm2d,),
    "pooling": (nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.MaxPool2d),
    "activations": (nn.SiLU, nn.ReLU, nn.ReLU6, nn.Hardswish, nn.Sigmoid, nn.Hardsigmoid),
}


@dataclass(frozen=True, slots=True)
class Count:
    """The counts that one counter reports for a network.

    Attributes:
        counter: name of the counter.
        macs: multiply-adds, as the counter defines them.
        params: number of parameters.
        note: convention of the counter, and the reason for its difference from our count.
        explained: whether the difference is explained completely.
    """

    counter: str
    macs: int
    params: int
    note: str
    explained: bool = True


def cross_check(network: Network) -> list[Count]:
    """Count a network by our arithmetic, by torch's counter, and by thop.

    Torch counts on the meta device. thop runs one image of zeros, in memory, through a copy of the module,
    because it leaves buffers in the module that it profiles.
    """
    own = network_cost(network)
    theirs = module_cost(lambda: build(network), network.resolution)
    agree = (own.macs, own.params) == (theirs.macs, theirs.params)
    return [
        Count("ours", own.macs, own.params, "MACs of convolutions and linear layers; BatchNorm, bias, others count 0"),
        Count(
            "torch FlopCounterMode / 2",
            theirs.macs,
            theirs.params,
            "counts two operations per multiply-add, so its number is halved" if agree else "DISAGREES with our count",
            agree,
        ),
        _by_thop(network, own.macs),
    ]


def _by_thop(network: Network, own_macs: int) -> Count:
    module = build(network).eval()
    macs, params = _thop_count(module, network.resolution)
    notes: list[str] = []
    ignored: list[type[nn.Module]] = []
    left = macs - own_macs
    for name, kinds in _EXTRAS.items():
        if not left:
            break
        ignored += kinds
        without, _ = _thop_count(module, network.resolution, ignored)
        share = left - (without - own_macs)
        if share:
            notes.append(f"{share:,} for {name}")
        left = without - own_macs
    if left:
        notes.append(f"{left:,} unexplained")
    note = f"{macs - own_macs:+,} compared with ours: {', '.join(notes)}" if notes else "same as ours"
    return Count(f"thop ({_thop_version()})", macs, params, note, not left)


def convolutions_by_thop(module: nn.Module, resolution: int) -> int:
    """Return thop's MACs of convolutions and linear layers alone, on a copy of ``module``."""
    return _thop_count(module.eval(), resolution, [kind for kinds in _EXTRAS.values() for kind in kinds])[0]


def _thop_count(module: nn.Module, resolution: int, ignored: Iterable[type[nn.Module]] = ()) -> tuple[int, int]:
    """Return thop's MACs and params for one image, on a copy of ``module``; types in ``ignored`` count 0."""
    import thop

    nothing: Callable[..., None] = lambda *_: None  # noqa: E731
    image = torch.zeros(1, INPUT_CHANNELS, resolution, resolution)
    rules = dict.fromkeys(ignored, nothing)
    with torch.no_grad():
        macs, params = thop.profile(copy.deepcopy(module), inputs=(image,), custom_ops=rules, verbose=False)
    return int(macs), int(params)


def _thop_version() -> str:
    for package in ("ultralytics-thop", "thop"):
        try:
            return f"{package} {version(package)}"
        except PackageNotFoundError:
            continue
    return "unknown version"
