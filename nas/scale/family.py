"""Members of a family with their costs, as rows for printing, writing and comparing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.core.errors import InputError
from nas.core.files import cannot_write, write_whole
from nas.evaluate.cost.exact import network_cost
from nas.scale.compound import ALPHA, BETA, GAMMA, Rule, Scaling, scale
from nas.search_spaces.network import Network
from nas.search_spaces.yaml_format import network_to_yaml

_NOMINAL_GROWTH = 2.0  # growth of MACs per unit of phi by the paper's rule, whose alpha * beta^2 * gamma^2 is about 2


@dataclass(frozen=True, slots=True)
class Member:
    """A scaled network.

    Attributes:
        scaling: how the network differs from the baseline.
        network: its stage table.
        macs_ratio: its exact MACs divided by the baseline's.
        nominal_ratio: the ratio by the rule: 2^phi for the paper's rule, (alpha * beta^2 * gamma^2)^phi for others;
            ``None`` for a member without phi.
        measured: metrics in addition to the exact costs, such as a latency.
    """

    scaling: Scaling
    network: Network
    macs_ratio: float
    nominal_ratio: float | None
    measured: dict[str, float]

    def row(self) -> dict[str, Any]:
        """Return the member as plain values by column."""
        cost = network_cost(self.network)
        scaling = self.scaling
        return {
            "name": self.network.name,
            "phi": scaling.phi,
            "width": scaling.width,
            "depth": scaling.depth,
            "resolution": self.network.resolution,
            "macs": cost.macs,
            "params": cost.params,
            "memory_bytes": cost.memory_bytes,
            "macs_ratio": self.macs_ratio,
            "nominal_ratio": self.nominal_ratio,
            **self.measured,
        }


COLUMNS = ("name", "width", "depth", "resolution", "MACs", "params", "× MACs")


def row_cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Return a member's row as formatted text, in the order of ``COLUMNS``."""
    return (
        row["name"],
        f"{row['width']:.3g}",
        f"{row['depth']:.3g}",
        f"{row['resolution']} px",
        f"{row['macs']:,}",
        f"{row['params']:,}",
        f"{row['macs_ratio']:.2f}",
    )


def make_family(baseline: Network, scalings: Sequence[Scaling], rule: Rule | None = None) -> list[Member]:
    """Scale a baseline into the members of a family.

    ``rule`` (default: the paper's) gives the nominal ratios of the members with a phi.

    Raises:
        InputError: if two members would have the same name, or a table is impossible.
    """
    names = [scaling.name for scaling in scalings]
    if twice := {name for name in names if names.count(name) > 1}:
        raise InputError(f"scale: two members would be named '{twice.pop()}'; request each member once")
    before = network_cost(baseline).macs
    papers = rule is None or (rule.alpha, rule.beta, rule.gamma) == (ALPHA, BETA, GAMMA)
    growth = _NOMINAL_GROWTH if papers or rule is None else rule.growth
    members = []
    for scaling in scalings:
        network = scale(baseline, scaling)
        nominal = None if scaling.phi is None else growth**scaling.phi
        members.append(Member(scaling, network, network_cost(network).macs / before, nominal, {}))
    return members


def rule_text(rule: Rule) -> str:
    """Return a rule as text in the paper's form, with its nominal growth."""
    kept = "; stem and head stay unscaled" if rule.keep_stem_and_head else ""
    return (
        f"depth {rule.alpha:g}^phi, width {rule.beta:g}^phi, resolution {rule.gamma:g}^phi; "
        f"alpha*beta^2*gamma^2 = {rule.growth:.3f}{kept}"
    )


def write_family(folder: Path, members: Sequence[Member]) -> list[Path]:
    """Write one YAML file per member and return their paths.

    Raises:
        InputError: if a file already has the name of the folder, or a folder has the name of a file to write.
        WorkError: if they cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from None
    paths = [folder / f"{member.network.name}.yaml" for member in members]
    for path, member in zip(paths, members, strict=True):
        write_whole(path, network_to_yaml(member.network))
    return paths
