"""The supernet: one set of shared weights, from which every network of a space takes its own without copying them."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Self

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from nas.core.errors import InputError
from nas.core.records import Architecture
from nas.evaluate.proxy.small_maps import use_small_maps
from nas.evaluate.supernet.form import Form
from nas.evaluate.supernet.largest import Shared, places_of, shared_tensors
from nas.evaluate.supernet.layout import COUNTER, Entry, entries
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
        tensors: the shared tensors by their keys.
        form: at which resolution the networks run and how they are regularised; ``None``: as they are in the space, on
            images of any size.
    """

    def __init__(
        self, space: SearchSpace, classes: int, tensors: Mapping[str, Tensor], form: Form | None = None
    ) -> None:
        super().__init__()
        self.space, self.classes, self.form = space, classes, form
        self.weights = nn.ParameterDict()
        for key in sorted(tensors):
            if key.endswith(_STATISTICS):
                self.register_buffer(key, tensors[key])
            else:
                self.weights[key] = nn.Parameter(tensors[key])
        self.register_buffer(COUNTER, torch.zeros((), dtype=torch.long), persistent=False)
        self._modules_without_weights: OrderedDict[tuple[object, ...], NetworkModule] = OrderedDict()

    @classmethod
    def initial(
        cls,
        space: SearchSpace,
        classes: int,
        generator: torch.Generator,
        form: Form | None = None,
        shared: Mapping[str, Shared] | None = None,
    ) -> Self:
        """Return an untrained supernet.

        Layers beside a shortcut begin as zero, by the scale of their last BatchNorm (BigNAS, arXiv 2003.11142, section
        3.1), so that deep networks are as easy to train as shallow ones.

        Args:
            space: a space whose genotypes decode to stage tables.
            classes: outputs of the classifier.
            generator: draws the first weights.
            form: as the supernet's.
            shared: the shared tensors, from ``shared_tensors``; ``None``: those of the whole space.

        Raises:
            InputError: if the space has no stage tables.
        """
        known = shared_tensors(space, classes) if shared is None else shared
        return cls(space, classes, {key: _initial(key, known[key], generator) for key in sorted(known)}, form)

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
        tensors = {**self.tensors(architecture), **(statistics or {})}
        logits: Tensor = functional_call(module, tensors, self._resized(images, network))
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
        network = self.network(architecture)
        module = self._made(_without_dropout(network))
        for part in module.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.momentum = None  # the mean over all batches
        shared = self.tensors(architecture)
        own = {
            name: torch.zeros_like(tensor) for name, tensor in shared.items() if name.endswith((*_STATISTICS, COUNTER))
        }
        for images in batches:
            functional_call(module.train(), {**shared, **own}, self._resized(images, network))
        return {name: tensor for name, tensor in own.items() if not name.endswith(COUNTER)}

    def network(self, architecture: Architecture) -> Network:
        """Return a genotype's network with the supernet's classes, in its form.

        Raises:
            InputError: if the genotype is not of this space, or the images are too small for its strides.
        """
        spaces.check(self.space, architecture)
        network = spaces.decode(self.space, architecture)
        assert network is not None
        return network.at(classes=self.classes) if self.form is None else self.form.of(network, self.classes)

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

    @torch.no_grad()
    def place(self, architecture: Architecture, weights: Mapping[str, Tensor]) -> None:
        """Copy the weights of one network into the shared tensors, by the names of its module's state dict.

        Raises:
            InputError: as ``tensors``.
        """
        for name, part in self.tensors(architecture).items():
            if name in weights and not name.endswith(COUNTER):
                part.copy_(weights[name])

    def _shared(self, entry: Entry) -> Tensor:
        known: Tensor | None = (
            getattr(self, entry.key, None) if entry.key.endswith(_STATISTICS) else self.weights.get(entry.key)
        )
        if known is None or any(own > most for own, most in zip(entry.shape, known.shape, strict=True)):
            has = "there is none" if known is None else f"the largest has {tuple(known.shape)}"
            raise InputError(
                f"supernet of '{self.space.name}': {entry.name} of this network has the shape {entry.shape}, {has}; "
                "it is outside the supernet's limits, or of a space in Python that has more networks than are listed"
            )
        return known

    def _module(self, network: Network) -> NetworkModule:
        """Return the network's module without weights."""
        key = network.signature(), tuple(stage.layers for stage in network.stages)
        known = self._modules_without_weights.pop(key, None)
        if known is None:
            known = self._made(network)
        self._modules_without_weights[key] = known
        if len(self._modules_without_weights) > _REMEMBERED:
            self._modules_without_weights.popitem(last=False)
        return known

    def _made(self, network: Network) -> NetworkModule:
        with torch.device("meta"):
            module = NetworkModule(network)
        if next(self.parameters()).device.type == "cpu":
            use_small_maps(module)
        return module

    def _resized(self, images: Tensor, network: Network) -> Tensor:
        """Return images of a network's resolution, if the supernet has a form."""
        side = network.resolution
        if self.form is None or images.shape[2:] == (side, side):
            return images
        return functional.interpolate(images, (side, side), mode="bilinear", antialias=True)


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


def _initial(key: str, shared: Shared, generator: torch.Generator) -> Tensor:
    """Return first weights, distributed as ``nas.search_spaces.blocks.initialise`` does for the largest network."""
    shape = shared.shape
    if "/norm/" in key:
        is_one = key.endswith(("/weight", "/running_var")) and not shared.ends_residual
        return torch.ones(shape) if is_one else torch.zeros(shape)
    if key.endswith("bias"):
        return torch.zeros(shape)
    if len(shape) == 2:
        bound = 1.0 / math.sqrt(shape[0])
        return torch.empty(shape).uniform_(-bound, bound, generator=generator)
    fan_out = shape[2] * shape[3] * (1 if key.endswith("depthwise/weight") else shape[0])
    return torch.empty(shape).normal_(0.0, math.sqrt(2.0 / fan_out), generator=generator)
