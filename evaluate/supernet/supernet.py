"""The supernet: one set of shared weights, from which every network of a space takes its own without copying them."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.func import functional_call

from nas.core.errors import InputError
from nas.core.records import Architecture
from nas.evaluate.supernet.largest import places_of, shared_shapes
from nas.evaluate.supernet.layout import COUNTER, Entry, Shape, entries
from nas.search_spaces import space as spaces
from nas.search_spaces.module import NetworkModule
from nas.search_spaces.network import Network
from nas.search_spaces.space import SearchSpace

_REMEMBERED = 64  # modules without weights of the last networks
_STATISTICS = ("running_mean", "running_var")


class Supernet(nn.Module):
    """All networks of a space with shared weights.

    A network runs as its own module does (``nas.search_spaces.module``), on views of the shared tensors: gradients
    flow into them, and BatchNorm's running statistics are updated in place.

    Args:
        space: a space whose genotypes decode to stage tables.
        classes: outputs of the classifier.
        generator: draws the first weights.

    Raises:
        InputError: if the space has no stage tables.
    """

    def __init__(self, space: SearchSpace, classes: int, generator: torch.Generator) -> None:
        super().__init__()
        self.space, self.classes = space, classes
        self.weights = nn.ParameterDict()
        shapes = shared_shapes(space, classes)
        for key in sorted(shapes):
            if key.endswith(_STATISTICS):
                full = torch.zeros if key.endswith("mean") else torch.ones
                self.register_buffer(key, full(shapes[key]))
            else:
                self.weights[key] = nn.Parameter(_initial(key, shapes[key], generator))
        self.register_buffer(COUNTER, torch.zeros((), dtype=torch.long), persistent=False)
        self._modules_without_weights: OrderedDict[tuple[object, ...], NetworkModule] = OrderedDict()

    def forward(
        self,
        images: Tensor,
        architecture: Architecture,
        statistics: Mapping[str, Tensor] | None = None,
        regularised: bool = True,
    ) -> Tensor:
        """Return the logits ``(batch, classes)`` of one network for images ``(batch, 3, h, w)``.

        Args:
            images: the images.
            architecture: the network's genotype.
            statistics: BatchNorm's statistics of this network, from ``calibrate``; ``None``: the shared ones.
            regularised: while training, use the network's dropout and drop-connect.

        Raises:
            InputError: if the genotype is not of this space, or its network does not fit the shared tensors.
        """
        network = self.network(architecture)
        module = self._module(network if regularised else _without_dropout(network)).train(self.training)
        logits: Tensor = functional_call(module, {**self.tensors(architecture), **(statistics or {})}, images)
        return logits

    @torch.no_grad()
    def calibrate(self, architecture: Architecture, batches: Iterable[Tensor]) -> dict[str, Tensor]:
        """Return BatchNorm's statistics of one network: the mean of those of each batch.

        The shared statistics are those of many networks, so a network needs its own before it is scored (BigNAS, arXiv
        2003.11142, section 3.3). The shared ones are left unchanged.

        Args:
            architecture: the network's genotype.
            batches: training images ``(batch, 3, h, w)``.

        Raises:
            InputError: as ``forward``.
        """
        with torch.device("meta"):
            module = NetworkModule(_without_dropout(self.network(architecture)))
        for part in module.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.momentum = None  # the mean over all batches
        shared = self.tensors(architecture)
        own = {
            name: torch.zeros_like(tensor) for name, tensor in shared.items() if name.endswith((*_STATISTICS, COUNTER))
        }
        for images in batches:
            functional_call(module.train(), {**shared, **own}, images)
        return {name: tensor for name, tensor in own.items() if not name.endswith(COUNTER)}

    def network(self, architecture: Architecture) -> Network:
        """Return a genotype's network with the supernet's classes.

        Raises:
            InputError: if the genotype is not of this space.
        """
        spaces.check(self.space, architecture)
        network = spaces.decode(self.space, architecture)
        assert network is not None
        return network.at(classes=self.classes)

    def tensors(self, architecture: Architecture) -> dict[str, Tensor]:
        """Return views of the shared tensors by the names of the state dict of the network's module.

        Raises:
            InputError: if the network does not fit them, naming the tensor.
        """
        network = self.network(architecture)
        found: dict[str, Tensor] = {}
        for entry in entries(network, places_of(self.space, architecture, len(network.stages))):
            found[entry.name] = _part(self._shared(entry), entry)
            if entry.name.endswith(_STATISTICS[0]):
                found[entry.name.removesuffix(_STATISTICS[0]) + COUNTER] = getattr(self, COUNTER)
        return found

    def extract(self, architecture: Architecture) -> NetworkModule:
        """Return the module of one network with a copy of its weights; it has the supernet's mode.

        Raises:
            InputError: as ``tensors``.
        """
        with torch.device("meta"):
            module = NetworkModule(self.network(architecture))
        weights = {name: tensor.detach().clone() for name, tensor in self.tensors(architecture).items()}
        module.load_state_dict(weights, assign=True)
        return module.requires_grad_().train(self.training)

    def _shared(self, entry: Entry) -> Tensor:
        known: Tensor | None = (
            getattr(self, entry.key, None) if entry.key.endswith(_STATISTICS) else self.weights.get(entry.key)
        )
        if known is None or any(own > most for own, most in zip(entry.shape, known.shape, strict=True)):
            has = "there is none" if known is None else f"the largest has {tuple(known.shape)}"
            raise InputError(
                f"supernet of '{self.space.name}': {entry.name} of this network has the shape {entry.shape}, {has}; "
                "write the space as a stage table in YAML, so that all its networks are known"
            )
        return known

    def _module(self, network: Network) -> NetworkModule:
        """Return the network's module without weights."""
        key = network.signature()
        known = self._modules_without_weights.pop(key, None)
        if known is None:
            with torch.device("meta"):
                known = NetworkModule(network)
        self._modules_without_weights[key] = known
        if len(self._modules_without_weights) > _REMEMBERED:
            self._modules_without_weights.popitem(last=False)
        return known


def _without_dropout(network: Network) -> Network:
    return replace(network, drop_connect=0.0, head=replace(network.head, dropout=0.0))


def _part(shared: Tensor, entry: Entry) -> Tensor:
    """Return the part of a shared tensor that an entry takes: the first channels, and the centre of the kernel."""
    for dimension, own in enumerate(entry.shape):
        most = shared.shape[dimension]
        if own < most:
            start = (most - own) // 2 if dimension > 1 else 0
            shared = shared.narrow(dimension, start, own)
    return shared


def _initial(key: str, shape: Shape, generator: torch.Generator) -> Tensor:
    """Return first weights, distributed as ``nas.search_spaces.blocks.initialise`` does for the largest network."""
    if "/norm/" in key:
        return torch.ones(shape) if key.endswith("weight") else torch.zeros(shape)
    if key.endswith("bias"):
        return torch.zeros(shape)
    if len(shape) == 2:
        bound = 1.0 / math.sqrt(shape[0])
        return torch.empty(shape).uniform_(-bound, bound, generator=generator)
    fan_out = shape[2] * shape[3] * (1 if key.endswith("depthwise/weight") else shape[0])
    return torch.empty(shape).normal_(0.0, math.sqrt(2.0 / fan_out), generator=generator)
