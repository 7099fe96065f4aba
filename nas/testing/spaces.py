"""The contract checks of a search space: properties that the whole program needs, checked on sampled genotypes.

Each check is a function that raises ``InputError`` at the first violation, with the genotype that shows it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from nas.core.errors import InputError
from nas.core.records import Architecture
from nas.core.user_code import describe
from nas.evaluate.cost.known_costs import KnownCosts, cost_column
from nas.search_spaces import space as spaces
from nas.search_spaces.network import Network
from nas.search_spaces.space import SearchSpace
from nas.search_spaces.yaml_format import network_from_dict, network_to_dict

MOST_PLACES = 24  # maximum number of options of one gene that are tried
TRAINED = 2  # number of samples that are trained for one step; the others are only built and counted
SMALL_PX = 64  # highest resolution at which stage tables are trained


@dataclass
class Probe:
    """A space with the samples it is checked on.

    Attributes:
        space: the space to check.
        samples: genotypes to check, beginning with the first and the last of the space; ``check_decoding`` removes
            those that make no network.
        unusable: reasons why other genotypes make no network, by genotype.
        notes: remarks on the space that are not violations.
    """

    space: SearchSpace
    samples: list[Architecture]
    unusable: dict[tuple[int, ...], str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """Method that makes its networks: ``decode``, ``build`` or, for tables of measured values, ``nothing``."""
        return next((name for name in ("decode", "build") if hasattr(self.space, name)), "nothing")


def check_space(space: SearchSpace, samples: int = 20, seed: int = 0) -> list[str]:
    """Run every check of the contract on a space.

    Args:
        space: the space to check: an object of your own class, or a result of ``nas.search_spaces.load_space``.
        samples: number of random genotypes, in addition to the first, the last and every option of every gene.
        seed: seed of the random genotypes.

    Returns:
        The names of the checks, all of which passed.

    Raises:
        InputError: at the first violation, with the genotype that shows it.
    """
    return list(run_space_checks(take_samples(space, samples, seed)))


def take_samples(space: SearchSpace, count: int, seed: int) -> Probe:
    """Return the first and the last genotype, every option of every gene (up to 24), and ``count`` random ones."""
    generator = np.random.default_rng(seed)
    sizes = [int(size) for size in space.gene_sizes]
    genotypes = [(0,) * len(sizes), tuple(size - 1 for size in sizes)]
    for place in range(min(max(sizes), MOST_PLACES)):
        genotypes.append(tuple(min(place, size - 1) for size in sizes))
    genotypes += [spaces.sample(space, generator).genes for _ in range(count)]
    return Probe(space, [Architecture(space.name, genes) for genes in dict.fromkeys(genotypes)])


def check_names(probe: Probe) -> None:
    """Check that the space has a name, and that its choices are plain values with one unique name for each gene."""
    if not probe.space.name.strip():
        raise InputError("name: expected a string, got an empty one")
    for architecture in probe.samples:
        chosen = spaces.choices(probe.space, architecture)
        for name, value in chosen.items():
            if not isinstance(name, str) or not isinstance(value, (str, int, float, np.generic)) or value != value:
                raise _at(architecture, f"choices: '{name}': expected a plain value (number or string), got {value!r}")
        if len(chosen) != len(architecture.genes):
            raise _at(
                architecture,
                f"choices: expected {len(architecture.genes)} names, one for each gene, got {len(chosen)}: "
                f"{', '.join(map(str, chosen))}; does a name occur twice?",
            )


def check_genotypes(probe: Probe) -> None:
    """Check that genotypes belong to the space and stay equal after a round trip through JSON."""
    for architecture in probe.samples:
        spaces.check(probe.space, architecture)
        back = json.loads(json.dumps(asdict(architecture)))
        if Architecture(back["space"], tuple(back["genes"])) != architecture:
            raise _at(architecture, "changes in a round trip through JSON")


def check_decoding(probe: Probe) -> None:
    """Check that genotypes decode twice to the same stage table, which stays equal after a round trip through YAML."""
    if probe.kind != "decode":
        return
    usable = []
    for architecture in probe.samples:
        try:
            network, again = spaces.decode(probe.space, architecture), spaces.decode(probe.space, architecture)
        except InputError as error:
            if error.__cause__ is not None:  # the space's own code raised
                raise _at(architecture, str(error)) from None
            probe.unusable[architecture.genes] = str(error)
            continue
        if network != again:
            raise _at(architecture, "decodes to another stage table the second time")
        assert network is not None
        try:
            survives = network_from_dict(network_to_dict(network)) == network
        except InputError as error:
            raise _at(architecture, str(error)) from None
        if not survives:
            raise _at(architecture, "its stage table changes through YAML; are its values plain numbers and strings?")
        usable.append(architecture)
    if not usable:
        genes, reason = next(iter(probe.unusable.items()))
        raise InputError(f"genes {genes}: no genotype makes a network: {reason}")
    if probe.unusable:
        genes, reason = next(iter(probe.unusable.items()))
        share = len(probe.unusable) / len(probe.samples)
        probe.notes.append(f"{share:.0%} of the samples make no network and are never proposed; {genes}: {reason}")
    probe.samples = usable


def check_modules(probe: Probe) -> None:
    """Check that the module of every sample builds and maps an image to logits, and that a few train for one step."""
    if probe.kind == "nothing":
        return
    from nas.testing.modules import try_training_step, try_without_memory

    path = getattr(probe.space, "source_path", None)
    for index, architecture in enumerate(probe.samples):
        build, resolution = _builder(probe.space, architecture)
        try:
            try_without_memory(build, resolution, path)
            if index < TRAINED:
                small = SMALL_PX if probe.kind == "decode" else resolution
                try_training_step(_at_size(build, probe.space, architecture, small), small or SMALL_PX, path)
        except InputError as error:
            raise _at(architecture, str(error)) from None


def check_costs(probe: Probe) -> None:
    """Check that known costs equal those of the built module, and are the same for one genotype and for a batch."""
    costs = KnownCosts(probe.space)
    known = [costs(architecture) for architecture in probe.samples]
    if probe.kind != "nothing":
        for architecture, metrics in zip(probe.samples, known, strict=True):
            _compare_with_module(probe, architecture, metrics)
    own = getattr(probe.space, "costs", None)
    if costs.table is not None:
        own = costs.table.costs
    if own is None:
        return
    for architecture, metrics in zip(probe.samples, known, strict=True):
        if set(metrics) != set(known[0]):
            others = sorted(known[0])
            raise _at(architecture, f"costs: expected the metrics {others} as elsewhere, got {sorted(metrics)}")
    together = own(np.array([architecture.genes for architecture in probe.samples], dtype=np.int64))
    for name, column in together.items():
        values = cost_column(f"costs(genes)['{name}']", name, column, len(probe.samples))
        for architecture, metrics, value in zip(probe.samples, known, values.tolist(), strict=True):
            if not math.isclose(metrics.get(name, math.nan), value, rel_tol=1e-9):
                raise _at(architecture, f"costs: {name} is {metrics.get(name)} alone but {value} among other genotypes")


SPACE_CHECKS: dict[str, Callable[[Probe], None]] = {
    "names and choices": check_names,
    "genotypes round-trip": check_genotypes,
    "decodes to stage tables": check_decoding,
    "modules build, run and train": check_modules,
    "costs equal the modules'": check_costs,
}


def run_space_checks(probe: Probe) -> Iterator[str]:
    """Run every check and yield the name of each one that passes.

    Raises:
        InputError: at the first violation, with the check's name and the genotype that shows it.
    """
    for name, check in SPACE_CHECKS.items():
        try:
            check(probe)
        except InputError as error:
            raise InputError(f"space '{probe.space.name}' breaks the contract in '{name}': {error}") from None
        yield name


def _compare_with_module(probe: Probe, architecture: Architecture, metrics: dict[str, float]) -> None:
    from nas.evaluate.cost.module import module_cost

    build, resolution = _builder(probe.space, architecture)
    counted = module_cost(build, resolution)
    for name, value in (("macs", counted.macs), ("params", counted.params), ("weight_bytes", counted.weight_bytes)):
        if name in metrics and metrics[name] != value and not (name == "macs" and resolution is None):
            where = f" at {resolution} px{_by_part(build, resolution)}" if name == "macs" else ""
            raise _at(
                architecture,
                f"{name}: costs say {metrics[name]:,}, but the built module has {value:,}{where}",
            )
    if probe.kind == "build" and resolution is not None and architecture == probe.samples[0]:
        _note_thop(probe, architecture, counted.macs)


def _note_thop(probe: Probe, architecture: Architecture, macs: int) -> None:
    """Add a note if the MACs of convolutions and linear layers differ between thop and torch's counter."""
    from nas.evaluate.cost.cross_check import convolutions_by_thop

    build, resolution = _builder(probe.space, architecture)
    assert resolution is not None
    try:
        theirs = convolutions_by_thop(build(), resolution)
    except Exception as error:  # thop is a second opinion; it cannot copy or hook every module
        probe.notes.append(f"genes {architecture.genes}: thop cannot count this module: {describe(error)}")
        return
    if theirs != macs:
        probe.notes.append(
            f"genes {architecture.genes}: thop counts {theirs:,} MACs where torch counts {macs:,}; it has other "
            "rules for some layers and does not see functional calls; torch's figure is used"
        )


def _by_part(build: Callable[[], Any], resolution: int | None) -> str:
    """Return the MACs of the module's direct submodules as text, which helps to find the wrong one."""
    from nas.testing.modules import macs_by_part

    if resolution is None:
        return ""
    parts = ", ".join(f"{name} {macs:,}" for name, macs in macs_by_part(build, resolution).items() if macs)
    return f" (MACs of its parts: {parts})"


def _builder(space: SearchSpace, architecture: Architecture) -> tuple[Callable[[], Any], int | None]:
    """Return a function that builds a genotype's module, and the resolution at which it is counted."""
    network = spaces.decode(space, architecture)
    if network is None:
        build = space.build  # type: ignore[attr-defined]
        return lambda: build(architecture), getattr(space, "resolution", None)
    from nas.search_spaces.module import build as build_network

    found: Network = network
    return lambda: build_network(found), found.resolution


def _at_size(
    build: Callable[[], Any], space: SearchSpace, architecture: Architecture, resolution: int | None
) -> Callable[[], Any]:
    """Return a function that builds the module for small images, if the stage table allows them."""
    from nas.search_spaces.module import build as build_network

    network = spaces.decode(space, architecture)
    if network is None or resolution is None:
        return build
    try:
        small = network.at(resolution=min(resolution, network.resolution))
    except InputError:
        small = network
    return lambda: build_network(small)


def _at(architecture: Architecture, message: str) -> InputError:
    return InputError(f"genes {architecture.genes}: {message}")
