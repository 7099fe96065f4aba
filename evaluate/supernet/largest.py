"""The shapes of the shared tensors: each as large as the largest of the tensors that are parts of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations, product

from nas.core.errors import InputError
from nas.core.records import Architecture
from nas.evaluate.supernet.layout import Entry, Shape, entries, head_entries, layer_entries, stem_entries
from nas.search_spaces import space as spaces
from nas.search_spaces.operations import realise
from nas.search_spaces.parts import Head, Stage, Stem
from nas.search_spaces.space import SearchSpace
from nas.search_spaces.stage_table import StageTableSpace

_LISTED = 4096  # genotypes of a space without a stage table that are all decoded
_SIDE = 2**20  # of the maps: no shape depends on it


def shared_shapes(space: SearchSpace, classes: int) -> dict[str, Shape]:
    """Return the shape of every shared tensor of a space.

    For a stage table, every option of every part is visited, with every number of input channels that it can have. For
    another space, all its networks are, or, of more than 4,096, those that hold every pair of options of two genes.

    Args:
        space: the space.
        classes: outputs of the classifier.

    Raises:
        InputError: if its genotypes are not stage tables.
    """
    found: dict[str, Shape] = {}
    for entry in _table_entries(space, classes) if isinstance(space, StageTableSpace) else _entries(space, classes):
        known = found.get(entry.key)
        found[entry.key] = entry.shape if known is None else tuple(map(max, known, entry.shape))
    return found


def _table_entries(space: StageTableSpace, classes: int) -> Iterator[Entry]:
    """Yield the tensors of every option of every part of a stage table, many of them more than once."""
    roots, stems, *stages, heads = (
        tuple(product(*(range(space.gene_sizes[gene]) for gene in segment))) for segment in space.segments
    )
    for modifiers in {space.root(genes)[1] for genes in roots}:
        inputs: set[int] = set()
        for genes in stems:
            stem = space.part(1, genes, modifiers)
            assert isinstance(stem, Stem)
            yield from stem_entries(stem)
            inputs.add(stem.channels)
        ends: dict[str, set[int]] = {}  # the stages that can be the last, and their channels
        for place, options in enumerate(stages):
            parts = [space.part(place + 2, genes, modifiers) for genes in options]
            present = {part for part in parts if isinstance(part, Stage) and part.layers}
            for stage, channels in product(present, inputs):
                for number, layer in enumerate(realise(stage, channels, _SIDE)):
                    yield from layer_entries(layer, stage.op, "", f"stage{place}/layer{number}")
            outputs = {stage.channels for stage in present}
            is_optional = len(present) < len(set(parts))
            inputs = outputs | inputs if is_optional else outputs
            ends = {**(ends if is_optional else {}), f"stage{place}": outputs}
        for genes, (before, outputs) in product(heads, ends.items()):
            head = space.part(len(space.segments) - 1, genes, modifiers)
            assert isinstance(head, Head)
            for channels in outputs:
                yield from head_entries(head, channels, classes, before)


def _entries(space: SearchSpace, classes: int) -> Iterator[Entry]:
    """Yield the tensors of networks that hold every option, and every pair of options if the space is large."""
    for architecture in _covering(space):
        network = spaces.decode(space, architecture)
        if network is None:
            raise InputError(
                f"a supernet shares the weights of stage tables, and '{space.name}' has none: write decode(), or YAML"
            )
        yield from entries(network.at(classes=classes), range(len(network.stages)))


def _covering(space: SearchSpace) -> Iterable[Architecture]:
    if spaces.size(space) <= _LISTED:
        yield from spaces.enumerate_space(space)
        return
    sizes = [int(count) for count in space.gene_sizes]
    for rest in ([0] * len(sizes), [count - 1 for count in sizes]):
        for first, second in combinations(range(len(sizes)), 2):
            for options in product(range(sizes[first]), range(sizes[second])):
                genes = list(rest)
                genes[first], genes[second] = options
                yield Architecture(space.name, tuple(genes))


def places_of(space: SearchSpace, architecture: Architecture, stages: int) -> Sequence[int]:
    """Return the place of each of a genotype's stages among all stages of the space.

    Args:
        space: the space.
        architecture: the genotype.
        stages: how many stages its network has. Of a space without a stage table, these are the first.
    """
    return space.present_stages(architecture) if isinstance(space, StageTableSpace) else range(stages)
