"""Checks before any work that every gene is seen: by the network that is evaluated, or by the evaluator itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterator
from dataclasses import replace

import numpy as np

from nas.core.errors import InputError
from nas.core.records import Architecture
from nas.evaluate.proxy.network import proxy_network
from nas.evaluate.proxy.settings import ProxySettings
from nas.search_spaces import space as spaces
from nas.search_spaces.network import Network
from nas.search_spaces.space import SearchSpace

_BASES = 16  # genotypes around which each gene is varied; a gene may have no effect around some of them
_MANY_BASES, _LOOK_S = 2000, 5.0  # before a gene is refused
_OPTIONS = 16  # options tried of a gene, spread over all
_DRAWN = 200  # genotypes in which different resolutions are looked for


def searched_resolutions(space: SearchSpace) -> list[int]:
    """Return the different deployment resolutions of a space's networks, rising; one if it is not searched.

    Spaces without stage tables have none. In a space of Python code, they are looked for in 200 genotypes.
    """
    found = {network.resolution for _, network in _networks(space, _bases(space, _DRAWN))}
    return sorted(found)


def check_genes_are_seen(space: SearchSpace, proxy: ProxySettings | None, side: int, reads_genes: bool) -> None:
    """Check that every gene changes what is evaluated.

    Args:
        space: the space; without stage tables, the evaluator gets the genes alone and nothing is checked.
        proxy: settings of the proxy; ``None`` for a user's evaluator, which gets the network itself.
        side: side of the proxy's images in pixels.
        reads_genes: whether the evaluator says that it reads the genes itself.

    Raises:
        InputError: naming a gene that changes nothing, or the number of classes if it is searched.
    """
    if reads_genes or not hasattr(space, "decode"):
        return

    def seen(network: Network) -> Hashable:
        if proxy is None:
            return replace(network, name="network")
        return proxy_network(network, proxy, side, network.classes).signature()

    bases = _bases(space, _BASES)
    if len(classes := {network.classes for _, network in _networks(space, bases)}) > 1:
        raise InputError(
            f"space '{space.name}': its networks have {min(classes)} to {max(classes)} classes, but the number of "
            "classes is given by the images, not searched; use one number"
        )
    names = getattr(space, "gene_names", None) or [f"gene{index}" for index in range(len(space.gene_sizes))]
    for index, options in enumerate(space.gene_sizes):
        if int(options) > 1 and not _is_seen(space, bases, index, seen):
            what = "the network that the proxy trains" if proxy else "the network that the evaluator gets"
            word = "" if proxy else "; an evaluator that reads the genes itself says so with reads_genes = True"
            raise InputError(
                f"space '{space.name}': gene '{names[index]}' changes nothing in {what}, so its options would be "
                f"compared by noise alone; fix it to one value{word}"
            )


def _is_seen(space: SearchSpace, bases: list[Architecture], index: int, seen: Callable[[Network], Hashable]) -> bool:
    """Return whether a gene makes a difference around any genotype; a gene may matter only where others allow it."""
    if any(_differs(space, base, index, seen) for base in bases):
        return True
    end = time.monotonic() + _LOOK_S
    more = (base for base in _bases(space, _MANY_BASES)[_BASES:])
    return any(_differs(space, base, index, seen) for base in more if time.monotonic() < end)


def _differs(space: SearchSpace, base: Architecture, index: int, seen: Callable[[Network], Hashable]) -> bool:
    """Return whether two options of a gene are seen as different, with all other genes as in ``base``."""
    first: Hashable = None
    count = int(space.gene_sizes[index])
    for option in np.unique(np.linspace(0, count - 1, min(count, _OPTIONS)).round().astype(int)).tolist():
        genes = (*base.genes[:index], option, *base.genes[index + 1 :])
        for _, network in _networks(space, [Architecture(space.name, genes)]):
            try:
                now = seen(network)
            except InputError:
                continue
            if first is not None and now != first:
                return True
            first = now
    return False


def _bases(space: SearchSpace, count: int) -> list[Architecture]:
    generator = np.random.default_rng(0)
    first = Architecture(space.name, (0,) * len(space.gene_sizes))
    return [first, *(spaces.sample(space, generator) for _ in range(count - 1))]


def _networks(space: SearchSpace, architectures: list[Architecture]) -> Iterator[tuple[Architecture, Network]]:
    """Yield the architectures that decode to a network, with it."""
    for architecture in architectures:
        try:
            network = spaces.decode(space, architecture)
        except InputError:
            continue
        if network is not None:
            yield architecture, network
