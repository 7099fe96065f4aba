"""The result of the grid search of alpha, beta, gamma: the best triple, the runners-up, the noise, and the family."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.core.changes import Changes, laid_over
from nas.core.errors import InputError
from nas.core.records import Architecture, Trial
from nas.scale.compound import Rule, Scaling, phi_scaling
from nas.scale.family import Member, make_family, write_family
from nas.scale.grid import ScalingSpace
from nas.search.baseline import Baseline
from nas.search.config import RunConfig, load_config, validate_config, with_absolute_paths
from nas.search.run_directory import Run
from nas.search_spaces.network import Network
from nas.search_spaces.yaml_format import network_to_dict
from nas.studies.own_resolution import train_at_own_resolution

REPORT, FAMILY = "scaling.json", "family"
PHIS = (1, 2, 3, 4, 5, 6, 7)
SHOWN = 8
CONFIRMED = 3  # default number of the best triples that are trained again


@dataclass(frozen=True, slots=True)
class Triple:
    """A triple and the results of its trainings.

    Attributes:
        rule: alpha, beta, gamma.
        accuracy: accuracy of its trial, a fraction.
        confirmed: accuracies of its confirming trainings, fractions.
        growth: its exact MACs divided by the baseline's, at phi = 1.
        tied: whether its reward is not significantly lower than the winner's.
    """

    rule: Rule
    accuracy: float
    confirmed: tuple[float, ...]
    growth: float
    tied: bool

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "alpha": self.rule.alpha,
            "beta": self.rule.beta,
            "gamma": self.rule.gamma,
            "accuracy": self.accuracy,
            "confirmed": list(self.confirmed),
            "macs_ratio": self.growth,
            "nominal_ratio": self.rule.growth,
            "tied": self.tied,
        }


@dataclass(frozen=True)
class Fit:
    """The grid search's result.

    Attributes:
        triples: the winner, then its runners-up.
        alike: further triples that make the same network as the winner at phi = 1.
        noise: standard deviation of one confirming training from seed to seed; ``None`` if nothing was trained twice.
        family: members for phi = 1 to 7; fewer if the largest do not fit in a stage table.
        files: the files that were written.
    """

    triples: list[Triple]
    alike: list[Rule]
    noise: float | None
    family: list[Member]
    files: list[Path]


def fit_config(baseline: Network, changes: Changes, assignments: Sequence[str]) -> RunConfig:
    """Return the configuration of the run that trains every triple of the grid.

    Args:
        baseline: the network that is scaled.
        changes: changes of the configuration by section, including the grid's keys.
        assignments: ``key.path=value``, including the grid's keys such as ``scaling.step``.

    Raises:
        InputError: naming the key that is wrong.
    """
    first = {
        "space": f"{baseline.name}-scaling",
        "controller": {"name": "random"},
        "confirm": {"candidates": CONFIRMED},
        "scaling": {"network": network_to_dict(baseline)},
    }
    config = load_config("proxy", laid_over(first, changes), assignments)
    assert config.scaling is not None
    space = ScalingSpace(config.scaling)
    rows = list(space.distinct())
    config = train_at_own_resolution(config, baseline, map(space.decode, rows))
    if "trials" not in changes and not any(item.startswith("trials=") for item in assignments):
        config = config.model_copy(update={"trials": len(rows)})
    return with_absolute_paths(validate_config(config.model_dump(mode="json"), "the command line"))


def conclude_fit(run: Run, baseline: Baseline) -> Fit:
    """Write ``scaling.json`` and the family of the best triple.

    Raises:
        WorkError: if they cannot be written.
    """
    assert run.config.scaling is not None
    space = ScalingSpace(run.config.scaling)
    winner = _rule(space, baseline.trial)
    triples = _ranked(space, run, baseline)
    network = space.decode(baseline.trial.architecture).signature()
    alike = [
        rule
        for place, rule in enumerate(space.rules)
        if rule != winner and space.decode(Architecture(space.name, (place,))).signature() == network
    ]
    noise = baseline.confirmation.noise if baseline.confirmation else None
    family = _possible_family(space, winner)
    files = write_family(run.path / FAMILY, family)
    report = {
        **triples[0].as_json(),
        "noise": None if noise is None else noise.std,
        "same_network": [[rule.alpha, rule.beta, rule.gamma] for rule in alike],
        "triples": [triple.as_json() for triple in triples],
        "family": [member.row() for member in family],
    }
    files.insert(0, run.write(REPORT, json.dumps(report, indent=2) + "\n"))
    return Fit(triples, alike, None if noise is None else noise.std, family, files)


def _possible_family(space: ScalingSpace, rule: Rule) -> list[Member]:
    """Return the members of the family.

    They end before the first member that is too large for a stage table, as for alpha = 2 at phi = 7.
    """
    scalings: list[Scaling] = []
    for phi in PHIS:
        try:
            scalings.append(phi_scaling(phi, space.baseline.name, rule))
            make_family(space.baseline, scalings[-1:], rule)
        except InputError:
            return make_family(space.baseline, scalings[: PHIS.index(phi)], rule)
    return make_family(space.baseline, scalings, rule)


def _ranked(space: ScalingSpace, run: Run, baseline: Baseline) -> list[Triple]:
    """Return the triples: the winner, then those that were trained again, then the others by their trial's accuracy."""
    rounds = baseline.confirmation
    confirmed = {one.trial.number: one.accuracies for one in rounds.candidates} if rounds else {}
    tied = {one.trial.number for one in rounds.tied} if rounds else set()
    finished = [trial for trial in run.trials if trial.status == "ok"]
    finished.sort(
        key=lambda trial: (
            trial.number != baseline.trial.number,
            -len(confirmed.get(trial.number, ())),
            -statistics.fmean(confirmed.get(trial.number, (trial.metrics["accuracy"],))),
            trial.number,
        )
    )
    found = []
    for trial in finished:
        rule = _rule(space, trial)
        accuracies = tuple(confirmed.get(trial.number, ()))
        found.append(Triple(rule, trial.metrics["accuracy"], accuracies, space.growth(rule), trial.number in tied))
    return found


def _rule(space: ScalingSpace, trial: Trial) -> Rule:
    return space.rules[trial.architecture.genes[0]]
