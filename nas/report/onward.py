"""The report's sections on the grid search of alpha, beta and gamma, the scaled family, and how to repeat the run."""

from __future__ import annotations

import shlex
import statistics

from nas.core.errors import InputError
from nas.core.program import program
from nas.report.facts import Facts
from nas.report.layout import PageSection, Table, Text
from nas.report.more_charts import family_chart
from nas.scale.compound import phi_scaling
from nas.scale.family import COLUMNS, make_family, row_cells

PHIS = (1, 2, 3, 4, 5, 6, 7)


def grid_section(facts: Facts) -> PageSection | None:
    """Return the section on the triples of a grid search and their accuracies; ``None`` for all other runs."""
    if not facts.scaling:
        return None
    columns = ("α", "β", "γ", "accuracy", "confirmed", "trainings", "× MACs", "verdict")
    rows = [
        (
            f"{one['alpha']:g}",
            f"{one['beta']:g}",
            f"{one['gamma']:g}",
            f"{one['accuracy']:.2%}",
            f"{statistics.fmean(one['confirmed']):.2%}" if one["confirmed"] else "",
            str(len(one["confirmed"]) or ""),
            f"{one['macs_ratio']:.2f}",
            "the best" if place == 0 else "not significantly different from the best" if one["tied"] else "",
        )
        for place, one in enumerate(facts.scaling.get("triples", []))
    ]
    text = "Depth is α^φ, width β^φ, resolution γ^φ; every triple was trained at φ = 1."
    return PageSection("grid", "The grid of α, β, γ", (text,), tables=(Table("Triples", columns, rows, columns[:-1]),))


def family_section(facts: Facts) -> PageSection | None:
    """Return the section on the family that compound scaling makes from the baseline; ``None`` if there is none."""
    if facts.scaling:
        rows, text = facts.scaling.get("family", []), "Scaled by the grid's best triple; also in the folder 'family'."
    elif facts.network is not None:
        rows = _scaled(facts)
        given = ",".join(str(phi) for phi in PHIS[: len(rows)])
        text = (
            "Scaled by the paper's compound scaling: depth 1.2^φ, width 1.1^φ, resolution 1.15^φ. To write the family: "
            + f"{program()} scale {shlex.quote(str(facts.path))} --phi {given} --out family"
        )
    else:
        return None
    if not rows:
        return None
    columns = ("name", "φ", *COLUMNS[1:])
    cells = [(name, f"{row['phi']:g}", *rest) for row in rows for name, *rest in [row_cells(row)]]
    chart = family_chart(rows)
    return PageSection(
        "family",
        "The family after scaling",
        (text,),
        (chart,) if chart else (),
        (Table("Members", columns, cells, columns[1:]),),
    )


def _scaled(facts: Facts) -> list[dict[str, object]]:
    assert facts.network is not None
    rows = []
    for phi in PHIS:
        try:
            rows.append(make_family(facts.network, [phi_scaling(phi, facts.network.name)])[0].row())
        except InputError:  # the scaled stage table is too large
            break
    return rows


def repeat_section(facts: Facts) -> PageSection:
    """Return the section on how to repeat the run: command, configuration, seed and versions."""
    config = (facts.path / "config.yaml").read_text(encoding="utf-8")
    path = shlex.quote(str(facts.path))
    command = f"{program()} search --config {path}/config.yaml --out runs/again"
    versions = ", ".join(f"{name} {number}" for name, number in facts.versions.items())
    created = f"Started {facts.created}. " if facts.created else ""
    texts = (Text("The command", command, open=True), Text("The whole configuration (config.yaml)", config))
    return PageSection(
        "repeat", "To repeat this run", (f"{created}Seed {facts.config.seed}. Versions: {versions}.",), texts=texts
    )
