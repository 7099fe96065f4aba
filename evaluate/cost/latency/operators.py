"""The operators of a network (its stem, each of its layers, its head), and all operators that a space can need.

Two layers of the same shape are one operator, at any position in the network, and are measured once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from nas.core.errors import InputError
from nas.search_spaces import space as spaces
from nas.search_spaces.network import Network
from nas.search_spaces.operations import INPUT_CHANNELS, Convolution, Layer, Step, realise
from nas.search_spaces.parts import Head, Stage, Stem, output_size
from nas.search_spaces.space import SearchSpace
from nas.search_spaces.stage_table import StageTableSpace
from nas.search_spaces.yaml_shorthand import Modifiers

_QUIET_DRAWS = 2000  # after this number of random networks without a new operator, the search for operators ends
_MOST_OPERATORS = 3000


@dataclass(frozen=True, slots=True)
class StemOperator:
    """The stem on an image of ``in_size`` pixels."""

    stem: Stem
    in_size: int


@dataclass(frozen=True, slots=True)
class HeadOperator:
    """All layers after the stages, pooling and classifier included."""

    head: Head
    in_channels: int
    in_size: int
    classes: int


Operator = StemOperator | Layer | HeadOperator


def operators_of(network: Network) -> list[Operator]:
    """Return a network's operators in their order."""
    layers = [layer for stage in network.stage_layers() for layer in stage]
    last = layers[-1]
    head = HeadOperator(network.head, last.out_channels, last.out_size, network.classes)
    return [StemOperator(network.stem, network.resolution), *layers, head]


def input_shape(operator: Operator, batch: int = 1) -> tuple[int, int, int, int]:
    """Return the shape of an operator's input, ``(batch, channels, h, w)``."""
    channels = INPUT_CHANNELS if isinstance(operator, StemOperator) else operator.in_channels
    return batch, channels, operator.in_size, operator.in_size


def operator_name(operator: Operator) -> str:
    """Return the name of an operator; equal names mean equal operators, except for the dropout rate of a head."""
    if isinstance(operator, StemOperator):
        stem = operator.stem
        return (
            f"stem k{stem.kernel} s{stem.stride} {stem.channels} {stem.activation} pool:{stem.pool} @{operator.in_size}"
        )
    if isinstance(operator, HeadOperator):
        head = operator.head
        widths = f"{operator.in_channels}-{head.channels}-{head.hidden}-{operator.classes}"
        return f"head {widths} {head.activation} @{operator.in_size}"
    steps = " ".join(map(_step_name, operator.steps))
    return f"{steps} {operator.shortcut}{f' {operator.activation}' if operator.activation else ''} @{operator.in_size}"


def operators_in(space: SearchSpace) -> list[Operator]:
    """Return every operator of the networks of a space.

    Stage-table spaces are enumerated exactly. In others, random networks are drawn until they add no new operator.

    Raises:
        InputError: if the space has no stage tables, or more than ``_MOST_OPERATORS`` operators.
    """
    found: dict[Operator, None] = {}
    walk = _walk(space) if isinstance(space, StageTableSpace) else _draw(space, found)
    for operator in walk:
        found.setdefault(operator)
        if len(found) > _MOST_OPERATORS:
            raise InputError(
                f"space '{space.name}' is made of more than {_MOST_OPERATORS} operators: too many to measure"
            )
    return list(found)


@dataclass(frozen=True, slots=True)
class Segment:
    """The operators that one part of a stage-table space adds to a network, by starting state and option.

    Attributes:
        genes: indices of the genes that decide the part; an option is their mixed-radix number.
        operators: operators by state and option; ``None`` if the option gives no valid network.
        next_state: state in which the next segment starts, by state and option.
    """

    genes: tuple[int, ...]
    operators: list[list[tuple[Operator, ...] | None]]
    next_state: list[list[int]]


def segments_of(space: StageTableSpace) -> Iterator[Segment]:
    """Yield stem (with the root's choices), stages and head of a stage-table space, each with all its options."""
    options = [list(product(*(range(space.gene_sizes[gene]) for gene in segment))) for segment in space.segments]
    states: dict[_State | None, int] = {None: 0}
    for segment in range(1, len(options)):
        first = segment == 1
        genes = (*space.segments[0], *space.segments[1]) if first else tuple(space.segments[segment])
        own = list(product(options[0] if first else [()], options[segment]))
        reached: dict[_State | None, int] = {}
        operators: list[list[tuple[Operator, ...] | None]] = []
        following: list[list[int]] = []
        for state in states:
            row = [_option(space, segment, root, chosen, state) for root, chosen in own]
            operators.append([None if entry is None else entry[0] for entry in row])
            following.append([0 if entry is None else reached.setdefault(entry[1], len(reached)) for entry in row])
        states = reached
        yield Segment(genes, operators, following)


@dataclass(frozen=True, slots=True)
class _State:
    """The results of the previous segments that a segment depends on."""

    channels: int
    size: int
    classes: int
    modifiers: Modifiers


def _option(
    space: StageTableSpace, segment: int, root: tuple[int, ...], genes: tuple[int, ...], state: _State | None
) -> tuple[tuple[Operator, ...], _State | None] | None:
    """Return the operators that a segment's genes add, and the next state; ``None`` if they give no valid network."""
    if state is None:
        values, modifiers = space.root(root)
        stem = space.part(segment, genes, modifiers)
        assert isinstance(stem, Stem)
        after = _State(stem.channels, stem.out_size(values["resolution"]), values["classes"], modifiers)
        return (StemOperator(stem, values["resolution"]),), after
    part = space.part(segment, genes, state.modifiers)
    if isinstance(part, Head):
        return (HeadOperator(part, state.channels, state.size, state.classes),), None
    assert isinstance(part, Stage)
    if not part.layers:
        return (), state
    if part.stride == 2 and state.size == 1:
        return None
    after = replace(state, channels=part.channels, size=output_size(state.size, part.stride))
    return realise(part, state.channels, state.size), after


def _walk(space: StageTableSpace) -> Iterator[Operator]:
    for segment in segments_of(space):
        for row in segment.operators:
            for operators in row:
                yield from operators or ()


def _draw(space: SearchSpace, found: dict[Operator, None]) -> Iterator[Operator]:
    if not hasattr(space, "decode"):
        raise InputError(f"space '{space.name}' has no stage tables, which a latency table needs")
    generator, quiet = np.random.default_rng(0), 0
    while quiet < _QUIET_DRAWS:
        before = len(found)
        try:
            network = spaces.decode(space, spaces.sample(space, generator))
        except InputError:
            network = None
        if network is not None:
            yield from operators_of(network)
        quiet = 0 if len(found) > before else quiet + 1


def _step_name(step: Step) -> str:
    if isinstance(step, Convolution):
        groups = f"g{step.groups}" if step.groups > 1 else ""
        return f"{step.in_channels}-{step.out_channels}k{step.kernel}s{step.stride}{groups}{step.activation or ''}"
    return f"se{step.channels}/{step.squeeze}{step.activation}{step.gate}"
