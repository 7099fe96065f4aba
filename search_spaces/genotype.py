"""The genotype of a network: where in a space it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product

from nas.core.errors import InputError
from nas.core.records import Architecture
from nas.search_spaces.network import Network
from nas.search_spaces.operations import realise
from nas.search_spaces.parts import Head, Stage, Stem
from nas.search_spaces.stage_table import StageTableSpace
from nas.search_spaces.yaml_shorthand import Modifiers

_SIDE = 2**10  # of the maps on which layers are compared
Genes = tuple[int, ...]


def genotype_of(space: StageTableSpace, network: Network) -> Architecture:
    """Return a genotype of a space that decodes to a network with the same layers.

    Classes, dropout and drop-connect do not count; of several resolutions, the network's own is preferred, then the
    largest.

    Args:
        space: the space.
        network: the network.

    Raises:
        InputError: if there is none, naming the first part that no option equals.
    """
    furthest = 0

    def distance(root: Genes) -> tuple[bool, int]:
        resolution = int(space.root(root)[0]["resolution"])
        return resolution != network.resolution, -resolution

    for root in sorted(_options(space, 0), key=distance):
        modifiers = space.root(root)[1]
        found, reached = _matched(space, network, modifiers)
        furthest = max(furthest, reached)
        if found is not None:
            genes = [0] * len(space.gene_sizes)
            for segment, own in zip(space.segments, [root, *found], strict=True):
                for index, gene in zip(segment, own, strict=True):
                    genes[index] = gene
            return Architecture(space.name, tuple(genes))
    part = ["stem", *(f"stage {number}" for number in range(1, len(network.stages) + 1)), "head"][furthest]
    raise InputError(f"network '{network.name}' is not in space '{space.name}': no option equals its {part}")


def _matched(space: StageTableSpace, network: Network, modifiers: Modifiers) -> tuple[list[Genes] | None, int]:
    """Return the genes of each segment after the root, or ``None`` and the number of parts that fit."""
    stems = (genes for genes, part in _parts(space, 1, modifiers) if part == network.stem)
    stem = next(stems, None)
    if stem is None:
        return None, 0
    furthest = 1

    def follow(place: int, done: int, channels: int) -> list[Genes] | None:
        """Match the stages from ``place`` on; ``done`` of the network's stages fit already."""
        nonlocal furthest
        furthest = max(furthest, 1 + done)
        if place == len(space.segments) - 1:
            heads = (genes for genes, part in _parts(space, place, modifiers) if _same_head(part, network.head))
            head = next(heads, None) if done == len(network.stages) else None
            return None if head is None else [head]
        for genes, part in _parts(space, place, modifiers):
            assert isinstance(part, Stage)
            if not part.layers:
                rest = follow(place + 1, done, channels)
            elif done < len(network.stages) and _same_stage(part, network.stages[done], channels):
                rest = follow(place + 1, done + 1, part.channels)
            else:
                continue
            if rest is not None:
                return [genes, *rest]
        return None

    found = follow(2, 0, network.stem.channels)
    return (None if found is None else [stem, *found]), furthest


def _options(space: StageTableSpace, segment: int) -> Iterator[Genes]:
    return product(*(range(space.gene_sizes[index]) for index in space.segments[segment]))


def _parts(space: StageTableSpace, segment: int, modifiers: Modifiers) -> Sequence[tuple[Genes, Stem | Stage | Head]]:
    return [(genes, space.part(segment, genes, modifiers)) for genes in _options(space, segment)]


def _same_stage(first: Stage, second: Stage, channels: int) -> bool:
    """Return whether two stages have the same layers, whichever way their defaults are written."""
    return first.op == second.op and realise(first, channels, _SIDE) == realise(second, channels, _SIDE)


def _same_head(part: Stem | Stage | Head, head: Head) -> bool:
    return isinstance(part, Head) and replace(part, dropout=0.0).identity() == replace(head, dropout=0.0).identity()
