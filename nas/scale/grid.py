"""A search space of triples (alpha, beta, gamma): each triple decodes to the baseline scaled by it at phi = 1."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterator
from typing import Annotated, Any, Literal

from pydantic import Field

from nas.core.errors import InputError
from nas.core.flag import Flag
from nas.core.records import Architecture
from nas.core.section import Section
from nas.evaluate.cost.exact import network_cost
from nas.scale.compound import Rule, phi_scaling, scale
from nas.search_spaces.network import Network
from nas.search_spaces.yaml_format import network_from_dict

GROWTH = 2.0  # growth of MACs per unit of phi


class ScalingSpace:
    """The triples of a grid whose growth of MACs is about 2. The only gene is the index of the triple.

    Args:
        grid: settings: the baseline, the grid, and which growth has to be about 2 (nominal or exact).

    Attributes:
        baseline: the network that is scaled.
        rules: the triples, in ascending order.

    Raises:
        InputError: if no triple is inside the tolerance.
    """

    def __init__(self, grid: ScalingGrid) -> None:
        self.baseline = network_from_dict(grid.network, "scaling.network")
        self.name = f"{self.baseline.name}-scaling"
        self._macs = network_cost(self.baseline).macs
        self._networks: dict[int, Network] = {}
        self.rules = [rule for rule in _grid(grid) if self._is_inside(rule, grid)]
        if not self.rules:
            raise InputError(
                f"scaling: no triple of step {grid.step:g} has a growth within {grid.tolerance:g} of 2; use a finer "
                "scaling.step or a larger scaling.tolerance"
            )

    @property
    def gene_sizes(self) -> tuple[int, ...]:
        """One gene: the index of the triple."""
        return (len(self.rules),)

    def decode(self, architecture: Architecture) -> Network:
        """Return the baseline scaled by a triple at phi = 1."""
        (place,) = architecture.genes
        if place not in self._networks:
            self._networks[place] = scale(self.baseline, phi_scaling(1, self.baseline.name, self.rules[place]))
        return self._networks[place]

    def choices(self, architecture: Architecture) -> dict[str, object]:
        """Return alpha, beta and gamma."""
        rule = self.rules[architecture.genes[0]]
        return {"alpha": rule.alpha, "beta": rule.beta, "gamma": rule.gamma}

    def growth(self, rule: Rule) -> float:
        """Return the exact growth of MACs by a triple at phi = 1."""
        return network_cost(scale(self.baseline, phi_scaling(1, "x", rule))).macs / self._macs

    def distinct(self) -> Iterator[Architecture]:
        """Yield one genotype for each distinct network; several triples may round to the same network."""
        seen: set[Hashable] = set()
        for place in range(len(self.rules)):
            architecture = Architecture(self.name, (place,))
            signature = self.decode(architecture).signature()
            if signature not in seen:
                seen.add(signature)
                yield architecture

    def _is_inside(self, rule: Rule, grid: ScalingGrid) -> bool:
        growth = rule.growth if grid.budget == "nominal" else self.growth(rule)
        return abs(growth - GROWTH) <= grid.tolerance + 1e-9


def _grid(grid: ScalingGrid) -> Iterator[Rule]:
    count = int((grid.largest - 1) / grid.step + 1e-9)
    values = [round(1 + place * grid.step, 9) for place in range(count + 1)]
    for alpha, beta, gamma in itertools.product(values, repeat=3):
        yield Rule(alpha, beta, gamma, grid.keep_stem_and_head)


class ScalingGrid(Section):
    """The grid search of compound scaling (EfficientNet, section 3.3, step 1): each trial is a triple at phi = 1."""

    network: dict[str, Any]
    """The baseline, in its YAML form."""
    step: Annotated[float, Flag("--step", help="Grid step (default: 0.05).")] = Field(default=0.05, ge=0.01, le=1)
    """Step between the values of alpha, beta and gamma, which start at 1."""
    largest: float = Field(default=2.0, gt=1, le=8)
    """Largest value of alpha, beta and gamma."""
    budget: Annotated[
        Literal["nominal", "macs"],
        Flag("--by", help="Growth that has to be about 2: nominal (alpha*beta^2*gamma^2) or macs (exact MACs)."),
    ] = "nominal"
    """Growth that has to be about 2: ``nominal``, alpha * beta^2 * gamma^2, as in the paper; ``macs``, the exact MACs
    divided by the baseline's."""
    tolerance: Annotated[float, Flag("--tolerance", help="Largest distance from 2 (default: 0.08).")] = Field(
        default=0.08, ge=0, lt=1
    )
    """Largest distance of the growth from 2; 0.08 admits the paper's 1.2, 1.1, 1.15."""
    keep_stem_and_head: bool = False
    """Whether the channels of stem and head, and the layers of the first and last stage, stay unscaled."""
