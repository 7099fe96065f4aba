"""Networks that torchvision or timm also have, and the conversion of our weights to their parameter names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nas.core.errors import InputError
from nas.scale.find_network import find_network
from nas.search_spaces.network import Network
from nas.search_spaces.operations import Excitation
from nas.weights.file import layers_of
from nas.weights.torchvision import TORCHVISION, layer_names

if TYPE_CHECKING:
    from torch import Tensor

    from nas.weights.file import Weights

# Our names and timm's names of networks; timm's ResNets have torchvision's layer names.
TIMM = {
    **{f"efficientnet_b{number}": f"efficientnet_b{number}" for number in range(9)},
    **{f"resnet{depth}": f"resnet{depth}" for depth in (18, 34, 50, 101, 152)},
    "mnasnet_a1": "semnasnet_100",
    "mnasnet_b1": "mnasnet_100",
    "mnasnet_small": "mnasnet_small",
    "mobilenet_v2": "mobilenetv2_100",
}


@dataclass(frozen=True, slots=True)
class Counterpart:
    """A library's model that is the same network.

    Attributes:
        library: ``torchvision`` or ``timm``.
        ours: the reference network's name.
        theirs: the model's name in the library.
    """

    library: str
    ours: str
    theirs: str

    def snippet(self, network: Network, file: str) -> str:
        """Return Python that builds the model and loads the file."""
        make = {
            "torchvision": f"torchvision.models.get_model('{self.theirs}', num_classes={network.classes})",
            "timm": f"timm.create_model('{self.theirs}', num_classes={network.classes})",
        }[self.library]
        return (
            f"import torch, {self.library}\nfrom safetensors.torch import load_file\n\nmodel = {make}\n"
            f"for part in model.modules():\n    if isinstance(part, torch.nn.BatchNorm2d):\n"
            f"        part.eps = {network.norm_epsilon:g}\nmodel.load_state_dict(load_file('{file}'))\n"
        )


def find_counterpart(network: Network, library: str) -> Counterpart | None:
    """Return the library's model with the same layers, or ``None``; classes, resolution and dropout may differ."""
    known = {name: theirs for name, (theirs, _) in TORCHVISION.items()} if library == "torchvision" else TIMM
    wanted = layers_of(network)
    found = (name for name in known if layers_of(find_network(name)) == wanted)
    ours = next(found, None)
    return None if ours is None else Counterpart(library, ours, known[ours])


def their_state(counterpart: Counterpart, weights: Weights) -> dict[str, Tensor]:
    """Return the weights with the library's parameter names.

    Raises:
        InputError: if a tensor has no counterpart, which would be an error in the tables of this module.
    """
    if counterpart.library == "torchvision" or counterpart.ours.startswith("resnet"):
        pairs = layer_names(counterpart.ours)
    else:
        pairs = _timm_names(find_network(counterpart.ours))
    theirs, state = dict(pairs), {}
    for name, tensor in weights.tensors.items():
        layer, _, field = name.rpartition(".")
        if layer not in theirs:
            raise InputError(f"export: '{name}' has no counterpart in {counterpart.library}'s {counterpart.theirs}")
        state[f"{theirs[layer]}.{field}"] = tensor
    return state


def _timm_names(network: Network) -> Iterator[tuple[str, str]]:
    """Yield our name and timm's name for every layer of an EfficientNet, MnasNet or MobileNetV2.

    A block is ``conv_pw, conv_dw, [se,] conv_pwl`` with ``bn1`` to ``bn3``, or, without an expansion,
    ``conv_dw, [se,] conv_pw`` with ``bn1`` and ``bn2``.
    """
    yield "stem.0", "conv_stem"
    yield "stem.1", "bn1"
    for stage, layers in enumerate(network.stage_layers()):
        for index, layer in enumerate(layers):
            ours, theirs = f"stages.{stage}.{index}.blocks", f"blocks.{stage}.{index}"
            expanded = sum(not isinstance(step, Excitation) for step in layer.steps) == 3
            convolutions = iter(("conv_pw", "conv_dw", "conv_pwl") if expanded else ("conv_dw", "conv_pw"))
            norm = 0
            for place, step in enumerate(layer.steps):
                if isinstance(step, Excitation):
                    yield f"{ours}.{place}.reduce", f"{theirs}.se.conv_reduce"
                    yield f"{ours}.{place}.expand", f"{theirs}.se.conv_expand"
                    continue
                norm += 1
                yield f"{ours}.{place}.0", f"{theirs}.{next(convolutions)}"
                yield f"{ours}.{place}.1", f"{theirs}.bn{norm}"
    yield "head.0", "conv_head"
    yield "head.1", "bn2"
    yield "classifier", "classifier"
