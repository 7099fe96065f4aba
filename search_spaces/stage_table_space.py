"""A factorized hierarchical space written as a stage table in which a list is a choice and a scalar is fixed.

All layers of a stage share the stage's choices (MnasNet, arXiv 1807.11626, section 4.1).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from nas.search_spaces.errors import InputError
from nas.search_spaces.network import Head, Network, Stage, Stem
from nas.search_spaces.network_yaml import network_from_dict, read_yaml
from nas.search_spaces.records import Architecture

_ROOT_KEYS = ("name", "drop_connect")


@dataclass(frozen=True, slots=True)
class Decision:
    """One gene: where its value goes in the stage table and which options it has."""

    path: tuple[str | int, ...]
    options: tuple[Hashable, ...]

    @property
    def name(self) -> str:
        """``stage1.expand`` (stages count from 1), ``head.channels``, ``resolution``."""
        if self.path[0] == "stages":
            return f"stage{int(self.path[1]) + 1}.{self.path[2]}"
        return ".".join(str(part) for part in self.path)


class StageTableSpace:
    """A space whose every genotype is a stage table.

    Genes stand in the order in which the choices stand in the file.

    Args:
        form: the YAML form; see README for an example.
        source: what to call it in messages, for instance the file's path.

    Raises:
        InputError: for unknown keys, empty or repeated options, values that make no network, each by name.
    """

    def __init__(self, form: Mapping[str, Any], source: str = "space") -> None:
        self._source = source
        self.decisions = tuple(_find_decisions(form, source))
        if not self.decisions:
            raise InputError(f"{source}: expected at least one list of options, got only fixed values")
        self.gene_sizes = tuple(len(decision.options) for decision in self.decisions)
        self._form = form
        self._first = self._validated({})
        self.name: str = self._first.name
        if "name" not in form:
            raise InputError(f"{source}: missing key 'name'")
        for decision in self.decisions:
            for option in decision.options[1:]:
                self._validated({decision.path: option})
        self.segments = self._find_segments()
        self._parts: list[dict[tuple[int, ...], dict[str, Any] | Stem | Stage | Head]] = [{} for _ in self.segments]

    @classmethod
    def from_yaml(cls, path: Path) -> StageTableSpace:
        """Read a space's YAML file."""
        return cls(read_yaml(path), str(path))

    @property
    def resolution(self) -> int:
        """Deployment resolution in pixels (of the first option where it is searched)."""
        return self._first.resolution

    @property
    def classes(self) -> int:
        """Outputs of the deployed classifier."""
        return self._first.classes

    @property
    def gene_names(self) -> tuple[str, ...]:
        """One name for each gene."""
        return tuple(decision.name for decision in self.decisions)

    def choices(self, architecture: Architecture) -> dict[str, object]:
        """Return the values chosen, by the decision's name."""
        return {
            decision.name: decision.options[gene]
            for decision, gene in zip(self.decisions, architecture.genes, strict=True)
        }

    def decode(self, architecture: Architecture) -> Network:
        """Return the stage table of a genotype.

        Raises:
            InputError: if this combination of options makes an impossible table.
        """
        genes = architecture.genes
        root, stem, *stages, head = (
            self.part(segment, tuple(genes[index] for index in indices))
            for segment, indices in enumerate(self.segments)
        )
        return Network(stem=stem, stages=tuple(stages), head=head, **root)

    def part(self, segment: int, genes: tuple[int, ...]) -> Any:
        """Return a segment (root values, stem, a stage, the head) for the genes of that segment alone."""
        cached = self._parts[segment].get(genes)
        if cached is None:
            cached = self._parts[segment][genes] = self._make_part(segment, genes)
        return cached

    def _make_part(self, segment: int, genes: tuple[int, ...]) -> dict[str, Any] | Stem | Stage | Head:
        network, stages = self._first, len(self._first.stages)
        base: Any = [None, network.stem, *network.stages, network.head][segment]
        values = {
            str(self.decisions[index].path[-1]): self.decisions[index].options[gene]
            for index, gene in zip(self.segments[segment], genes, strict=True)
        }
        if segment == 0:
            root = {key: getattr(network, key) for key in ("name", "resolution", "classes", "drop_connect")}
            return root | values
        own = {field.name: getattr(base, field.name) for field in fields(base)}
        kind: type[Stem | Stage | Head] = Stem if segment == 1 else Head if segment == stages + 2 else Stage
        return kind(**(own | values))

    def _find_segments(self) -> list[list[int]]:
        """Group gene indices by what they decide: root values, stem, each stage, head."""
        stages = len(self._first.stages)
        segments: list[list[int]] = [[] for _ in range(stages + 3)]
        for index, decision in enumerate(self.decisions):
            first = decision.path[0]
            segment = {"stem": 1, "head": stages + 2, "stages": 2}.get(str(first), 0)
            segments[segment + int(decision.path[1]) if first == "stages" else segment].append(index)
        return segments

    def _validated(self, change: Mapping[tuple[str | int, ...], Hashable]) -> Network:
        """Validate the table of first options with ``change`` applied, through the network's own schema."""
        first = {decision.path: decision.options[0] for decision in self.decisions}
        return network_from_dict(_with_values(self._form, (), {**first, **change}), self._source)


def _find_decisions(form: Any, source: str, path: tuple[str | int, ...] = ()) -> Iterator[Decision]:
    if isinstance(form, Mapping):
        for key, value in form.items():
            yield from _find_decisions(value, source, (*path, key))
    elif path == ("stages",) and isinstance(form, list):
        for index, value in enumerate(form):
            yield from _find_decisions(value, source, (*path, index))
    elif isinstance(form, list):
        decision = Decision(path, tuple(form))
        _check_options(decision, source)
        yield decision


def _check_options(decision: Decision, source: str) -> None:
    where = f"{source}: {'.'.join(str(part) for part in decision.path)}"
    if decision.path[0] in _ROOT_KEYS:
        raise InputError(f"{where}: expected one fixed value, got the list {list(decision.options)}")
    if not decision.options:
        raise InputError(f"{where}: expected at least one option, got an empty list")
    seen: list[Hashable] = []
    for option in decision.options:
        if isinstance(option, (list, dict)) or option is None:
            raise InputError(f"{where}: expected plain values as options, got {option!r}")
        if option in seen:
            raise InputError(f"{where}: option {option!r} stands twice")
        seen.append(option)


def _with_values(form: Any, path: tuple[str | int, ...], values: Mapping[tuple[str | int, ...], Any]) -> Any:
    if path in values:
        return values[path]
    if isinstance(form, Mapping):
        return {key: _with_values(value, (*path, key), values) for key, value in form.items()}
    if isinstance(form, list):
        return [_with_values(value, (*path, index), values) for index, value in enumerate(form)]
    return form
