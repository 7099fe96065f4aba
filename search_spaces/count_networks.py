"""Count the distinct networks of a stage-table space.

Several genotypes give the same network if widths round to the same value, layers are clipped, a skip cannot apply or a
stage is absent. A network is the sequence of its stem, layers and head. A space generates such sequences segment by
segment, and one sequence may arise in several ways. The networks are therefore counted as the words of a
non-deterministic automaton, by following all ways at once.
"""

from __future__ import annotations

from collections.abc import Hashable
from functools import cache
from itertools import product

from nas.core.errors import InputError
from nas.search_spaces.network import check_stride
from nas.search_spaces.operations import realise
from nas.search_spaces.parts import Head, Stage, Stem, output_size
from nas.search_spaces.stage_table import StageTableSpace
from nas.search_spaces.yaml_shorthand import Modifiers

Genes = tuple[int, ...]
Word = tuple[int, ...]  # letters as numbers: repeated hashing of layers would take most of the time
State = tuple[int, int, Modifiers]  # channels, map size, modifiers of the root
Way = tuple[int, State, Word]  # next segment, state at its input, letters still to be emitted before it


def count_networks(space: StageTableSpace) -> int:
    """Return the exact number of distinct networks, as distinguished by ``Network.signature``."""
    last = len(space.segments) - 1
    letters: dict[Hashable, int] = {}

    def options(segment: int) -> list[Genes]:
        return list(product(*(range(space.gene_sizes[index]) for index in space.segments[segment])))

    def spell(parts: tuple[Hashable, ...]) -> Word:
        return tuple(letters.setdefault(part, len(letters)) for part in parts)

    @cache
    def choices(segment: int, state: State) -> tuple[tuple[Word, State], ...]:
        """Return the distinct words that a segment can emit from a state, each with the state after it."""
        channels, size, modifiers = state
        found: dict[tuple[Word, State], None] = {}
        for genes in options(segment):
            part = space.part(segment, genes, modifiers)
            if isinstance(part, Head):
                found[spell((part.identity(),)), state] = None
            elif isinstance(part, Stage) and not part.layers:
                found[(), state] = None
            elif isinstance(part, Stage) and not (part.stride == 2 and size == 1):
                after = part.channels, output_size(size, part.stride), modifiers
                found[spell(realise(part, channels, size)), after] = None
        return tuple(found)

    @cache
    def continuations(segment: int, state: State) -> dict[int, frozenset[Way]]:
        """Return the possible continuations from the start of a segment, by their first letter."""
        found: dict[int, set[Way]] = {}
        for word, after in choices(segment, state):
            if word:
                found.setdefault(word[0], set()).add((segment + 1, after, word[1:]))
            else:  # an absent stage
                for letter, ways in continuations(segment + 1, after).items():
                    found.setdefault(letter, set()).update(ways)
        return {letter: frozenset(ways) for letter, ways in found.items()}

    @cache
    def count_from(segment: int, state: State) -> int:
        """Count the distinct endings from the start of a segment; 1 if no segment is left."""
        return 1 if segment > last else sum(map(count, continuations(segment, state).values()))

    @cache
    def count(ways: frozenset[Way]) -> int:
        """Count the distinct endings of a set of ways."""
        within = [way for way in ways if way[2]]
        starting = [way[:2] for way in ways if not way[2]]
        letters = {word[0] for _, _, word in within}
        if len(starting) == 1 and (starting[0][0] > last or letters.isdisjoint(continuations(*starting[0]))):
            return count_from(*starting[0]) + (count(frozenset(within)) if within else 0)
        endings: dict[int, set[Way]] = {}
        for segment, state, word in within:
            endings.setdefault(word[0], set()).add((segment, state, word[1:]))
        for segment, state in starting:
            if segment <= last:
                for letter, following in continuations(segment, state).items():
                    endings.setdefault(letter, set()).update(following)
        finished = int(any(segment > last for segment, _ in starting))
        return finished + sum(count(frozenset(following)) for following in endings.values())

    return sum(count(frozenset(ways)) for ways in _beginnings(space, options(0), options(1)).values())


def _beginnings(space: StageTableSpace, roots: list[Genes], stems: list[Genes]) -> dict[Hashable, set[Way]]:
    """Return the ways to begin, by resolution, number of classes and stem."""
    beginnings: dict[Hashable, set[Way]] = {}
    for root_genes, stem_genes in product(roots, stems):
        root, modifiers = space.root(root_genes)
        stem = space.part(1, stem_genes, modifiers)
        assert isinstance(stem, Stem)
        try:
            check_stride("stem", stem.stride, root["resolution"])
        except InputError:
            continue
        state = stem.channels, stem.out_size(root["resolution"]), modifiers
        beginnings.setdefault((root["resolution"], root["classes"], stem), set()).add((2, state, ()))
    return beginnings
