"""The torch module of a stage table."""

from __future__ import annotations

from torch import Tensor, nn

from nas.search_spaces.blocks import Block, ConvNormAct, Norm, activation, initialise
from nas.search_spaces.network import Network
from nas.search_spaces.operations import INPUT_CHANNELS, Convolution
from nas.search_spaces.parts import Head, Stem, output_size


class NetworkModule(nn.Module):
    """The trainable form of a stage table: stem, stages, head.

    Maps images ``(batch, 3, h, w)`` to logits ``(batch, classes)``. Any image size that the strides allow is accepted.

    Args:
        network: the stage table.
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        norm = Norm(network.norm_epsilon, network.norm_momentum)
        self.stem = _stem(network.stem, network.resolution, norm)
        stages = list(network.stage_layers())
        blocks = sum(len(layers) for layers in stages)
        # Drop-connect rises linearly over the layers, from 0 at the first to rate * (n - 1) / n at the last.
        rates = iter(network.drop_connect * index / blocks for index in range(blocks))
        self.stages = nn.ModuleList(
            nn.Sequential(*(Block(layer, next(rates), norm) for layer in layers)) for layers in stages
        )
        last = stages[-1][-1]
        self.head = _head(network.head, last.out_channels, last.out_size, norm)
        features = network.head.channels or last.out_channels
        self.hidden = _hidden(network.head, features)
        self.dropout = nn.Dropout(network.head.dropout)
        self.classifier = nn.Linear(network.head.hidden or features, network.classes)
        initialise(self)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits of shape ``(batch, classes)`` for images of shape ``(batch, 3, h, w)``."""
        maps = self.stem(images)
        for stage in self.stages:
            maps = stage(maps)
        logits: Tensor = self.classifier(self.dropout(self.hidden(self.head(maps).mean((2, 3)))))
        return logits


def build(network: Network) -> NetworkModule:
    """Build and initialise the module of a stage table, from torch's global random state."""
    return NetworkModule(network)


def _stem(stem: Stem, resolution: int, norm: Norm) -> nn.Sequential:
    sizes = resolution, output_size(resolution, stem.stride)
    step = Convolution(INPUT_CHANNELS, stem.channels, stem.kernel, stem.stride, 1, stem.activation, *sizes)
    convolution = ConvNormAct(step, norm)
    if stem.pool == "max":
        convolution.append(nn.MaxPool2d(3, 2, 1))
    return convolution


def _head(head: Head, in_channels: int, size: int, norm: Norm) -> nn.Sequential:
    if not head.channels:
        return nn.Sequential()
    return ConvNormAct(Convolution(in_channels, head.channels, 1, 1, 1, head.activation, size, size), norm)


def _hidden(head: Head, features: int) -> nn.Module:
    if not head.hidden:
        return nn.Identity()
    return nn.Sequential(nn.Linear(features, head.hidden), activation(head.activation))
