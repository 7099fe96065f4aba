"""The operators of a network: its stem, each of its layers, its head; and all that a space can need.

Two layers of the same shape are one operator, wherever they stand, and are measured once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

from nas.search_spaces import space as spaces
from nas.search_spaces.errors import InputError
from nas.search_spaces.layers import INPUT_CHANNELS, Convolution, Layer, Step, output_size, realise
from nas.search_spaces.network import Head, Network, Stage, Stem
from nas.search_spaces.shorthand import Modifiers
from nas.search_spaces.space import SearchSpace
from nas.search_spaces.stage_table_space import StageTableSpace

QUIET_DRAWS = 2000  # random networks without a new operator after which all of a space are taken for known
MOST_OPERATORS = 3000


@dataclass(frozen=True, slots=True)
class StemOperator:
    """The stem on an image of ``in_size`` pixels."""

    stem: Stem
    in_size: int


@dataclass(frozen=True, slots=True)
class HeadOperator:
    """Everything behind the stages, pooling and classifier included."""

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
    """Return the shape of what an operator takes, ``(batch, channels, h, w)``."""
    channels = INPUT_CHANNELS if isinstance(operator, StemOperator) else operator.in_channels
    return batch, channels, operator.in_size, operator.in_size


def operator_name(operator: Operator) -> str:
    """Return a text that is equal for equal operators and for no others."""
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
    """Return every operator that networks of the space are made of.

    Stage-table spaces are walked exactly; of others, random networks are drawn until they bring nothing new.

    Raises:
        InputError: if the space has no stage tables, or more operators than can sensibly be measured.
    """
    found: dict[Operator, None] = {}
    walk = _walk(space) if isinstance(space, StageTableSpace) else _draw(space, found)
    for operator in walk:
        found.setdefault(operator)
        if len(found) > MOST_OPERATORS:
            raise InputError(
                f"space '{space.name}' is made of more than {MOST_OPERATORS} operators: too many to measure"
            )
    return list(found)


def _walk(space: StageTableSpace) -> Iterator[Operator]:
    """Follow every state the space's segments can reach."""
    options = [list(product(*(range(space.gene_sizes[gene]) for gene in segment))) for segment in space.segments]
    states: dict[tuple[int, int, int, Modifiers], None] = {}
    for root, genes in product(options[0], options[1]):
        values, modifiers = space.root(root)
        stem = space.part(1, genes, modifiers)
        assert isinstance(stem, Stem)
        size = values["resolution"]
        yield StemOperator(stem, size)
        states[stem.channels, stem.out_size(size), values["classes"], modifiers] = None
    for segment in range(2, len(options) - 1):
        reached: dict[tuple[int, int, int, Modifiers], None] = {}
        for (channels, size, classes, modifiers), genes in product(states, options[segment]):
            stage = space.part(segment, genes, modifiers)
            assert isinstance(stage, Stage)
            if not stage.layers:
                reached[channels, size, classes, modifiers] = None
            elif not (stage.stride == 2 and size == 1):
                yield from realise(stage, channels, size)
                reached[stage.channels, output_size(size, stage.stride), classes, modifiers] = None
        states = reached
    for (channels, size, classes, modifiers), genes in product(states, options[-1]):
        head = space.part(len(options) - 1, genes, modifiers)
        assert isinstance(head, Head)
        yield HeadOperator(head, channels, size, classes)


def _draw(space: SearchSpace, found: dict[Operator, None]) -> Iterator[Operator]:
    if not hasattr(space, "decode"):
        raise InputError(f"space '{space.name}' has no stage tables, so no operators whose times could be added up")
    generator, quiet = np.random.default_rng(0), 0
    while quiet < QUIET_DRAWS:
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
