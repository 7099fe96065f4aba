"""The shared tensors of a space: each as large as the largest of the tensors that are parts of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, product

from nas.core.errors import InputError
from nas.core.records import Architecture
from nas.evaluate.supernet.affordable import Place, place_of
from nas.evaluate.supernet.layout import Entry, Shape, entries, head_entries, layer_entries, stem_entries
from nas.search_spaces import space as spaces
from nas.search_spaces.operations import realise
from nas.search_spaces.parts import Head, Stage, Stem
from nas.search_spaces.space import SearchSpace
from nas.search_spaces.stage_table import StageTableSpace

_LISTED = 4096  # genotypes of a space without a stage table that are all decoded
_SIDE = 2**20  # of the maps: no shape depends on it


@dataclass(frozen=True, slots=True)
class Shared:
    """One shared tensor.

    Attributes:
        shape: its shape.
        ends_residual: whether it is the scale of the last BatchNorm beside a shortcut, in every network that has it.
    """

    shape: Shape
    ends_residual: bool

    def joined(self, entry: Entry) -> Shared:
        """Return the tensor that holds another entry too."""
        return Shared(tuple(map(max, self.shape, entry.shape)), self.ends_residual and entry.ends_residual)


def shared_tensors(space: SearchSpace, classes: int, inside: Collection[Place] | None = None) -> dict[str, Shared]:
    """Return every shared tensor of a space by its key.

    For a stage table, every option of every part is visited, with every number of input channels that it can have. For
    another space, all its networks are, or, of more than 4,096, those that hold every pair of options of two genes.

    Args:
        space: the space.
        classes: outputs of the classifier.
        inside: the parts of a stage table that are used, from ``affordable_parts``; ``None``: all.

    Raises:
        InputError: if its genotypes are not stage tables.
    """
    found: dict[str, Shared] = {}
    own = _table_entries(space, classes, inside) if isinstance(space, StageTableSpace) else _entries(space, classes)
    for entry in own:
        known = found.get(entry.key, Shared(entry.shape, entry.ends_residual))
        found[entry.key] = known.joined(entry)
    return found


def _table_entries(space: StageTableSpace, classes: int, inside: Collection[Place] | None) -> Iterator[Entry]:
    """Yield the tensors of every option of every part of a stage table that is used, many of them more than once."""

    def used(segment: int, channels: int, part: Stem | Stage | Head) -> bool:
        return inside is None or place_of(segment, channels, part) in inside

    roots, stems, *stages, heads = (
        tuple(product(*(range(space.gene_sizes[gene]) for gene in segment))) for segment in space.segments
    )
    for modifiers in {space.root(genes)[1] for genes in roots}:
        inputs: set[int] = set()
        for genes in stems:
            stem = space.part(1, genes, modifiers)
            assert isinstance(stem, Stem)
            if not used(1, 0, stem):
                continue
            yield from stem_entries(stem)
            inputs.add(stem.channels)
        ends: dict[str, set[int]] = {}  # the stages that can be the last, and their channels
        for place, options in enumerate(stages):
            parts = [space.part(place + 2, genes, modifiers) for genes in options]
            present = {part for part in parts if isinstance(part, Stage) and part.layers}
            outputs = set()
            for stage, channels in product(present, inputs):
                if not used(place + 2, channels, stage):
                    continue
                outputs.add(stage.channels)
                for number, layer in enumerate(realise(stage, channels, _SIDE)):
                    yield from layer_entries(layer, stage.op, "", f"stage{place}/layer{number}")
            is_optional = len(present) < len(set(parts))
            inputs = outputs | inputs if is_optional else outputs
            ends = {**(ends if is_optional else {}), f"stage{place}": outputs}
        for genes, (before, outputs) in product(heads, ends.items()):
            head = space.part(len(space.segments) - 1, genes, modifiers)
            assert isinstance(head, Head)
            for channels in outputs:
                if used(len(space.segments) - 1, channels, head):
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
