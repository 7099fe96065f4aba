"""A factorized hierarchical space written as a stage table in which a list is a choice and a scalar is fixed.

All layers of a stage share the stage's choices (MnasNet, arXiv 1807.11626, section 4.1). A stage is
optional if 0 is an option of its ``layers``. A space that decides each layer on its own is therefore a table of
one-layer stages (ProxylessNAS, arXiv 1812.00332).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.core.documents import read_yaml
from nas.core.errors import InputError
from nas.core.records import Architecture
from nas.search_spaces.google_blocks import parse_block
from nas.search_spaces.network import Network
from nas.search_spaces.parts import Head, Stage, Stem
from nas.search_spaces.yaml_format import network_from_dict
from nas.search_spaces.yaml_kinds import SPACE, refuse_others
from nas.search_spaces.yaml_shorthand import MODIFIERS, Modifiers, resolve_part, resolve_stage

_FIXED = ("name", "classes", "drop_connect", "norm_epsilon", "norm_momentum")
_REMEMBERED = 256  # most decoded networks in the cache
Part = Stem | Stage | Head


@dataclass(frozen=True, slots=True)
class Decision:
    """One gene: the place of its value in the stage table, and its options."""

    path: tuple[str | int, ...]
    options: tuple[Hashable, ...]

    @property
    def name(self) -> str:
        """``stage1.expand`` (stages count from 1), ``head.channels`` or ``resolution``.

        It is ``stage1`` for a choice between stages in block notation.
        """
        if self.path[0] == "stages":
            return ".".join([f"stage{int(self.path[1]) + 1}", *map(str, self.path[2:])])
        return ".".join(str(part) for part in self.path)


class StageTableSpace:
    """A space in which every genotype decodes to a stage table.

    Genes have the order of the choices in the file.

    Args:
        form: the YAML form; see ``docs/your-space.md`` for an example.
        source: name of the space in messages, for instance the file's path.

    Raises:
        InputError: for unknown keys, empty or repeated options and impossible networks; the message names the key.
    """

    def __init__(self, form: Mapping[str, Any], source: str = "space") -> None:
        self._source = source
        self.decisions = tuple(_find_decisions(form, source))
        if not self.decisions:
            network_from_dict(form, source)  # raises if the network is invalid
            raise InputError(
                f"{source}: expected at least one list of options, got only fixed values: this is a network"
            )
        self.gene_sizes = tuple(len(decision.options) for decision in self.decisions)
        self.form = form
        self._first = self._validated({})
        self.name: str = self._first.name
        if "name" not in form:
            raise InputError(f"{source}: missing key 'name'")
        for decision in self.decisions:
            for option in decision.options:
                self._validated({decision.path: option})
        for index, counts in enumerate(self._layer_counts()):
            if counts == (0,):
                raise InputError(f"{source}: stages[{index}].layers: expected an option above 0, got only 0")
        if all(0 in counts for counts in self._layer_counts()):
            raise InputError(f"{source}: stages: expected at least one stage whose layers are never 0")
        self.segments = self._find_segments()
        self._parts: list[dict[Hashable, Part]] = [{} for _ in self.segments]
        self._networks: dict[tuple[int, ...], Network] = {}  # cache: a genotype is decoded several times
        self._roots: dict[tuple[int, ...], tuple[dict[str, Any], Modifiers]] = {}

    @classmethod
    def from_yaml(cls, path: Path) -> StageTableSpace:
        """Read a space's YAML file.

        Raises:
            InputError: if the file cannot be read or does not hold a space.
        """
        data = read_yaml(path)
        if "stages" not in data:
            refuse_others(data, SPACE, str(path))
        return cls(data, str(path))

    @property
    def resolution(self) -> int:
        """Deployment resolution in pixels (the first option if the resolution is searched)."""
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
        """Return the chosen values by the decision's name."""
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
        if (known := self._networks.get(genes)) is not None:
            return known
        root, (stem, *stages, head) = self._parts_of(genes)
        present = tuple(stage for stage in stages if isinstance(stage, Stage) and stage.layers)
        network = Network(stem=stem, stages=present, head=head, **root)  # type: ignore[arg-type]
        if len(self._networks) >= _REMEMBERED:
            self._networks.clear()
        self._networks[genes] = network
        return network

    def present_stages(self, architecture: Architecture) -> tuple[int, ...]:
        """Return the places of the stages that a genotype has, from 0, among all stages of the space."""
        _, (_, *stages, _) = self._parts_of(architecture.genes)
        return tuple(place for place, stage in enumerate(stages) if isinstance(stage, Stage) and stage.layers)

    def _parts_of(self, genes: tuple[int, ...]) -> tuple[dict[str, Any], list[Part]]:
        """Return the root's plain values and stem, stages (with 0 layers if absent) and head of a genotype."""
        chosen = [tuple([genes[index] for index in indices]) for indices in self.segments]
        root, modifiers = self.root(chosen[0])
        return root, [self.part(segment, chosen[segment], modifiers) for segment in range(1, len(chosen))]

    def root(self, genes: tuple[int, ...]) -> tuple[dict[str, Any], Modifiers]:
        """Return the root's plain values and its modifiers for the genes of segment 0."""
        if genes not in self._roots:
            values = {key: self.form[key] for key in self.form if key not in ("stem", "stages", "head")}
            values |= self._chosen(0, genes)
            plain = {key: value for key, value in values.items() if key not in MODIFIERS}
            self._roots[genes] = plain, Modifiers.of(values)
        return self._roots[genes]

    def part(self, segment: int, genes: tuple[int, ...], modifiers: Modifiers) -> Part:
        """Return the stem, a stage (with 0 layers if it is absent) or the head for the genes of its segment."""
        key = genes, modifiers
        cached = self._parts[segment].get(key)
        if cached is None:
            cached = self._parts[segment][key] = self._make_part(segment, genes, modifiers)
        return cached

    def _make_part(self, segment: int, genes: tuple[int, ...], modifiers: Modifiers) -> Part:
        chosen = self._chosen(segment, genes)
        if segment == 1:
            return Stem(**resolve_part({**self.form["stem"], **chosen}, modifiers))
        if segment == len(self.segments) - 1:
            return Head(**resolve_part({**self.form["head"], **chosen}, modifiers))
        row = self.form["stages"][segment - 2]
        if isinstance(row, list):  # a choice between stages in block notation
            (row,) = chosen.values()
        values = parse_block(row)[0] if isinstance(row, str) else {**row, **chosen}
        if values.get("layers") == 0:
            values.pop("extra_layers", None)
        return Stage(**resolve_stage(values, modifiers, f"stages[{segment - 2}]"))

    def _chosen(self, segment: int, genes: tuple[int, ...]) -> dict[str, Any]:
        decisions = (self.decisions[index] for index in self.segments[segment])
        return {str(item.path[-1]): item.options[gene] for item, gene in zip(decisions, genes, strict=True)}

    def _find_segments(self) -> list[list[int]]:
        """Group gene indices by the part that they decide: root values, stem, each stage, head."""
        stages = len(self.form["stages"])
        segments: list[list[int]] = [[] for _ in range(stages + 3)]
        for index, decision in enumerate(self.decisions):
            first = decision.path[0]
            segment = {"stem": 1, "head": stages + 2, "stages": 2}.get(str(first), 0)
            segments[segment + int(decision.path[1]) if first == "stages" else segment].append(index)
        return segments

    def _layer_counts(self) -> Iterator[tuple[Hashable, ...]]:
        """Yield the options of each stage's ``layers``."""
        options = {item.path[1]: item.options for item in self.decisions if item.path[-1] == "layers"}
        for index in range(len(self.form["stages"])):
            yield options.get(index, ())

    def _validated(self, change: Mapping[tuple[str | int, ...], Hashable]) -> Network:
        """Check that the table of first options, after ``change`` is applied, is a valid network.

        Absent stages are left out of the table.
        """
        first = {decision.path: _present(decision) for decision in self.decisions}
        form = _with_values(self.form, (), {**first, **change})
        if isinstance(rows := form.get("stages"), list):
            optional = [0 in counts for counts in self._layer_counts()]
            absent = [may and row.get("layers") == 0 for row, may in zip(rows, optional, strict=True)]
            form["stages"] = [row for row, gone in zip(rows, absent, strict=True) if not gone]
        return network_from_dict(form, self._source)


def _present(decision: Decision) -> Hashable:
    """Return the first option; for the layers of a stage that may be absent, the first option that is not 0."""
    is_count = decision.path[0] == "stages" and decision.path[-1] == "layers"
    return next((option for option in decision.options if not is_count or option != 0), decision.options[0])


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
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in decision.path)
    where = f"{source}: {path.lstrip('.')}"
    if decision.path[0] in _FIXED:
        raise InputError(f"{where}: expected one fixed value, got the list {list(decision.options)}")
    if not decision.options:
        raise InputError(f"{where}: expected at least one option, got an empty list")
    seen: list[Hashable] = []
    for option in decision.options:
        if isinstance(option, (list, dict)) or option is None:
            raise InputError(f"{where}: expected plain values as options, got {option!r}")
        if option in seen:
            raise InputError(f"{where}: option {option!r} occurs twice")
        seen.append(option)


def _with_values(form: Any, path: tuple[str | int, ...], values: Mapping[tuple[str | int, ...], Any]) -> Any:
    if path in values:
        return values[path]
    if isinstance(form, Mapping):
        return {key: _with_values(value, (*path, key), values) for key, value in form.items()}
    if isinstance(form, list):
        return [_with_values(value, (*path, index), values) for index, value in enumerate(form)]
    return form
