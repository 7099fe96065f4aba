"""How many different networks a stage-table space holds.

Genotypes coincide where widths round alike, layers are clipped, a skip cannot apply or a stage is absent. A network is
the sequence of its stem, layers and head; a space generates such sequences segment by segment, and one sequence may
come about in several ways. So they are counted as the words of a non-deterministic automaton: by following all the
ways at once.
"""

from __future__ import annotations

from collections.abc import Hashable
from functools import cache
from itertools import product

from nas.core.errors import InputError
from nas.search_spaces.layers import realise
from nas.search_spaces.network import check_stride
from nas.search_spaces.parts import Head, Stage, Stem, output_size
from nas.search_spaces.stage_table import StageTableSpace
from nas.search_spaces.yaml_shorthand import Modifiers

Genes = tuple[int, ...]
Word = tuple[int, ...]  # letters by number: hashing layers again and again would take most of the time
State = tuple[int, int, Modifiers]  # channels, map size, what the root says
Way = tuple[int, State, Word]  # the segment that comes next, what enters it, what is still to be written before it


def count_networks(space: StageTableSpace) -> int:
    """Return the exact number of distinct networks, as told apart by ``Network.signature``."""
    last = len(space.segments) - 1
    letters: dict[Hashable, int] = {}

    def options(segment: int) -> list[Genes]:
        return list(product(*(range(space.gene_sizes[index]) for index in space.segments[segment])))

    def spell(parts: tuple[Hashable, ...]) -> Word:
        return tuple(letters.setdefault(part, len(letters)) for part in parts)

    @cache
    def choices(segment: int, state: State) -> tuple[tuple[Word, State], ...]:
        """What a segment may write from a state, and the state behind it; each once."""
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
        """What may come from the beginning of a segment on, by its first letter."""
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
        """Count the different endings from the beginning of a segment on; one where nothing is left."""
        return 1 if segment > last else sum(map(count, continuations(segment, state).values()))

    @cache
    def count(ways: frozenset[Way]) -> int:
        """Count the different endings of these ways."""
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
    """Return the ways to begin, by what the image's resolution, the stem and the classes are."""
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
