"""From a stage table to a torch module."""

from __future__ import annotations

from torch import Tensor, nn

from nas.search_spaces.blocks import ConvNormAct, MBConv, initialise
from nas.search_spaces.network import INPUT_CHANNELS, Network


class NetworkModule(nn.Module):
    """The trainable form of a stage table: stem, stages, head.

    Maps images ``(batch, 3, h, w)`` to logits ``(batch, classes)``. Any image size will do that the strides allow.

    Args:
        network: the stage table.
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        stem, head = network.stem, network.head
        self.stem = ConvNormAct(INPUT_CHANNELS, stem.channels, stem.kernel, stem.stride, 1, stem.activation)
        stages = list(network.stage_layers())
        blocks = sum(len(layers) for layers in stages)
        # Drop-connect rises linearly over the blocks, from 0 at the first to rate * (n - 1) / n at the last.
        rates = iter(network.drop_connect * index / blocks for index in range(blocks))
        self.stages = nn.ModuleList(
            nn.Sequential(*(MBConv(layer, next(rates)) for layer in layers)) for layers in stages
        )
        self.head = ConvNormAct(stages[-1][-1].out_channels, head.channels, 1, 1, 1, head.activation)
        self.dropout = nn.Dropout(head.dropout)
        self.classifier = nn.Linear(head.channels, network.classes)
        initialise(self)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits of shape ``(batch, classes)`` for images of shape ``(batch, 3, h, w)``."""
        maps = self.stem(images)
        for stage in self.stages:
            maps = stage(maps)
        logits: Tensor = self.classifier(self.dropout(self.head(maps).mean((2, 3))))
        return logits


def build(network: Network) -> NetworkModule:
    """Build and initialise the module of a stage table, from torch's global random state."""
    return NetworkModule(network)
