"""Which shared tensor each tensor of a network is a part of.

A shared tensor belongs to a role at a place: the expansion of the second layer of stage 3 as ``mbconv``, say. Networks
whose layers have the same role at the same place share it: a narrower layer takes the first channels, a smaller kernel
the centre of the larger one, a shorter stage the first layers (once-for-all, arXiv 1908.09791, section 3.2; BigNAS,
arXiv 2003.11142, section 3.1). Activations, skips and resolutions have no weights and share them all. Operations have
weights of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from nas.search_spaces.network import Network
from nas.search_spaces.operations import INPUT_CHANNELS, Convolution, Excitation, Layer, Step
from nas.search_spaces.parts import Head, Stem

Shape = tuple[int, ...]
_ROLES = {"mbconv": ("expand", "depthwise", "project"), "dsconv": ("depthwise", "project")}  # convolutions, in order
COUNTER = "num_batches_tracked"  # of BatchNorm; never used, because its momentum is a number


@dataclass(frozen=True, slots=True)
class Entry:
    """One tensor of a network.

    Attributes:
        name: its name in the state dict of the network's module.
        key: the shared tensor that it is a part of.
        shape: its shape.
        ends_residual: whether it is the scale of the last BatchNorm beside a shortcut, without an activation.
    """

    name: str
    key: str
    shape: Shape
    ends_residual: bool = False


def entries(network: Network, places: Sequence[int]) -> Iterator[Entry]:
    """Yield every tensor of a network except BatchNorm's counters.

    Args:
        network: the network.
        places: the place of each of its stages among all stages of the space.
    """
    yield from stem_entries(network.stem)
    channels = network.stem.channels
    for index, (place, stage, layers) in enumerate(zip(places, network.stages, network.stage_layers(), strict=True)):
        for number, layer in enumerate(layers):
            yield from layer_entries(layer, stage.op, f"stages.{index}.{number}", f"stage{place}/layer{number}")
        channels = layers[-1].out_channels
    yield from head_entries(network.head, channels, network.classes, f"stage{places[-1]}")


def stem_entries(stem: Stem) -> Iterator[Entry]:
    """Yield the tensors of a stem."""
    shape = stem.channels, INPUT_CHANNELS, stem.kernel, stem.kernel
    yield from _convolution_entries(shape, "stem", "stem")


def layer_entries(layer: Layer, operation: str, name: str, key: str) -> Iterator[Entry]:
    """Yield the tensors of a layer whose module has a name and whose shared tensors begin with a key."""
    last = max(index for index, step in enumerate(layer.steps) if isinstance(step, Convolution))
    for index, (step, role) in enumerate(zip(layer.steps, _roles(layer.steps, operation), strict=True)):
        own = _step_entries(step, f"{name}.blocks.{index}", f"{key}/{operation}/{role}")
        closes = index == last and layer.shortcut != "none" and getattr(step, "activation", None) is None
        yield from (replace(entry, ends_residual=closes and entry.key.endswith("/norm/weight")) for entry in own)
    if (projection := layer.projection) is not None:
        yield from _step_entries(projection, f"{name}.shortcut", f"{key}/{operation}/shortcut")


def head_entries(head: Head, channels: int, classes: int, before: str) -> Iterator[Entry]:
    """Yield the tensors of a head and the classifier.

    Features of another layer mean something else, so there is a classifier for each layer that it can follow.

    Args:
        head: the head.
        channels: its input channels.
        classes: outputs of the classifier.
        before: the last stage.
    """
    features, source = channels, before
    if head.channels:
        yield from _convolution_entries((head.channels, features, 1, 1), "head", f"head/{before}")
        features, source = head.channels, "head"
    if head.hidden:
        yield from _affine_entries((head.hidden, features), "hidden.0", f"hidden/{source}")
        features, source = head.hidden, "hidden"
    yield from _affine_entries((classes, features), "classifier", f"classifier/{source}")


def _roles(steps: Sequence[Step], operation: str) -> Iterator[str]:
    """Yield the role of every step; an expansion that is left out does not change the roles of the others."""
    count = sum(isinstance(step, Convolution) for step in steps)
    known = _ROLES.get(operation)
    names = iter(known[-count:] if known else [f"convolution{index}" for index in range(count)])
    for step in steps:
        yield next(names) if isinstance(step, Convolution) else "excitation"


def _step_entries(step: Step, name: str, key: str) -> Iterator[Entry]:
    if isinstance(step, Excitation):
        yield from _affine_entries((step.squeeze, step.channels, 1, 1), f"{name}.reduce", f"{key}/reduce")
        yield from _affine_entries((step.channels, step.squeeze, 1, 1), f"{name}.expand", f"{key}/expand")
        return
    shape = step.out_channels, step.in_channels // step.groups, step.kernel, step.kernel
    yield from _convolution_entries(shape, name, key)


def _convolution_entries(shape: Shape, name: str, key: str) -> Iterator[Entry]:
    """Yield the tensors of a convolution without bias and its BatchNorm."""
    yield Entry(f"{name}.0.weight", f"{key}/weight", shape)
    for tensor in ("weight", "bias", "running_mean", "running_var"):
        yield Entry(f"{name}.1.{tensor}", f"{key}/norm/{tensor}", shape[:1])


def _affine_entries(shape: Shape, name: str, key: str) -> Iterator[Entry]:
    """Yield the weight and the bias of a linear layer, or of a convolution with a bias."""
    yield Entry(f"{name}.weight", f"{key}/weight", shape)
    yield Entry(f"{name}.bias", f"{key}/bias", shape[:1])
