"""Study with public data: does a search of B0's space find B0 again?

EfficientNet-B0 came from a search over such a space at T = 400M (Tan and Le 2019, section 4). Its 21 choices of expand
ratio, kernel and layers are compared with the networks that searches on the surrogate find, with the choices that the
best 1% of the space have in common, and with the effect of each choice on the accuracy of trained networks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.controllers.registry import make_controller
from nas.core.callback import SILENT, Callback
from nas.core.documents import to_yaml
from nas.core.files import write_whole
from nas.core.version import versions
from nas.evaluate.cost.table import CostTable
from nas.evaluate.imagenet.judgement import QUANTILE
from nas.evaluate.imagenet.prediction import shipped_surrogate
from nas.evaluate.imagenet.skeleton import KINDS, Genes, b0_genes, gene_sizes, skeleton, skeleton_genes, thermometer
from nas.evaluate.workers.pool import LocalPool
from nas.search.assemble import Setup, prepare
from nas.search.b0_comparison import b0_reward, compare_with_b0, predicted_rewards, sample_inside
from nas.search.baseline import conclude
from nas.search.config import RunConfig, validate_config
from nas.search.loop import SearchLoop
from nas.search.run_directory import Run

_FORMS: dict[str, dict[str, Any]] = {
    "soft, no band": {"constraint": "soft", "tolerance": None},
    "soft, band": {"constraint": "soft", "tolerance": 0.1},
    "hard, no band": {"constraint": "hard", "tolerance": None},
}
BEST = 0.01
TOKENS = tuple(token for token in range(4 * 7) if KINDS[token % 4] != "se")  # B0's 21 choices
BATCH = 25


@dataclass(frozen=True, slots=True)
class Choice:
    """One of B0's 21 choices in one form of the search.

    Attributes:
        name: such as ``stage3.kernel=5``.
        common: its share of all sampled architectures.
        best: its share of the best 1%.
        found: the share of the seeds whose network has it.
    """

    name: str
    common: float
    best: float
    found: float


@dataclass(frozen=True, slots=True)
class Form:
    """The results of one form of the search.

    Attributes:
        name: the form's reward and band, such as ``soft, no band``.
        se: ``free``, or ``on`` in every stage.
        choices: B0's 21 choices.
        matches: number of the 21 choices that each seed's network has.
        macs: MACs of each seed's network.
        accuracies: accuracy of each seed's network by the fit that the search did not use, fractions.
        gains: differences from B0's accuracy by the same fit, fractions.
        b0_better_than: share of the sample with a lower predicted reward than B0.
        b0_rank: B0's place in the sample by predicted reward, 1 for the best.
        sample: number of architectures in the sample.
    """

    name: str
    se: str
    choices: list[Choice]
    matches: list[int]
    macs: list[int]
    accuracies: list[float]
    gains: list[float]
    b0_better_than: float
    b0_rank: int
    sample: int


@dataclass(frozen=True, slots=True)
class Effect:
    """The effect of one of B0's choices against the mean of its alternatives, over the trained networks.

    Attributes:
        name: the choice.
        points: change of top-1 in points, all other choices equal.
        low: lower end of the 95% interval.
        high: upper end.
        macs: change of MACs, averaged over the space.
    """

    name: str
    points: float
    low: float
    high: float
    macs: float


def rediscover(
    out: Path, target: float, seeds: int, trials: int, sample: int, callback: Callback = SILENT
) -> tuple[list[Form], list[Effect]]:
    """Run one search for every form, with SE free and on, and every seed; the runs are written to ``out/runs``.

    Raises:
        InputError: if no network of the space reaches the target.
    """
    se_on = out / "efficientnet-se.yaml"
    out.mkdir(parents=True, exist_ok=True)
    write_whole(se_on, _with_se_everywhere())
    forms = []
    for name, objective in _FORMS.items():
        for se, space in (("free", "efficientnet"), ("on", str(se_on))):
            callback.message(f"{name}, SE {se}: {seeds} searches of {trials} trials, {sample:,} architectures sampled")
            forms.append(_form(out, name, se, space, {**objective, "target_flops": target}, seeds, trials, sample))
    return forms, effects()


def as_json(forms: list[Form], found: list[Effect]) -> dict[str, Any]:
    """Return plain values."""
    return {"forms": [asdict(form) for form in forms], "effects": [asdict(effect) for effect in found]}


def effects() -> list[Effect]:
    """Return the marginal effect of each of B0's 21 choices on the measured accuracy, from the shipped regression."""
    numbers = shipped_surrogate().numbers
    points, covariance = numbers["effects.points"], numbers["effects.covariance"]
    found = []
    for token in TOKENS:
        contrast = _contrast(token)
        middle, spread = float(contrast @ points), float(np.sqrt(contrast @ covariance @ contrast))
        low, high = middle - QUANTILE * spread, middle + QUANTILE * spread
        found.append(Effect(choice_name(token), middle, low, high, _macs_change(token)))
    return found


def choice_name(token: int) -> str:
    """Return B0's choice for a gene, such as ``stage3.kernel=5``."""
    decision = skeleton().decisions[token]
    return f"{decision.name}={decision.options[b0_genes()[token]]}"


def _form(
    out: Path, name: str, se: str, space: str, objective: Mapping[str, Any], seeds: int, trials: int, sample: int
) -> Form:
    found: list[Genes] = []
    macs, accuracies, gains = [], [], []
    for seed in range(seeds):
        config = _config(space, objective, trials, seed)
        setup = prepare(config)
        slug = f"{name} se {se} seed {seed}".replace(",", "").replace(" ", "-")
        comparison = _search(setup, out / "runs" / slug)
        found.append(np.array(comparison.found.genes))
        macs.append(comparison.found.macs)
        accuracies.append(comparison.found.judgement.accuracy)
        gains.append(comparison.gain)
    genes = sample_inside(setup, sample, np.random.default_rng(0))
    assert genes is not None
    rewards = predicted_rewards(setup, genes)
    ahead = int((rewards >= b0_reward(setup, comparison.b0)).sum())
    share = 1 - ahead / len(rewards)
    mapped = skeleton_genes(setup.space, genes)
    best = mapped[np.argsort(-rewards, kind="stable")[: max(1, int(BEST * len(rewards)))]]
    winners = np.stack(found)
    reference = np.array(b0_genes())
    choices = [
        Choice(
            choice_name(token),
            *(float((rows[:, token] == reference[token]).mean()) for rows in (mapped, best, winners)),
        )
        for token in TOKENS
    ]
    matches = (winners[:, TOKENS] == reference[list(TOKENS)]).sum(axis=1).tolist()
    return Form(name, se, choices, matches, macs, accuracies, gains, share, 1 + ahead, len(rewards))


def _config(space: str, objective: Mapping[str, Any], trials: int, seed: int) -> RunConfig:
    data = {
        "space": space,
        "trials": trials,
        "seed": seed,
        "objective": dict(objective),
        "controller": {"name": "evolution", "population": 100, "sample": 25},
        "evaluator": {"name": "imagenet"},
        "workers": {"count": 0},
    }
    return validate_config(data, "rediscover")


def _search(setup: Setup, path: Path) -> Any:
    """Run one search to its end, without display."""
    run = Run.create(path, setup.config, versions(), "")
    try:
        controller = make_controller(
            setup.config.controller["name"], setup.task, setup.config.seed, setup.config.controller_options
        )
        pool = LocalPool(setup.recipe, None, BATCH)
        SearchLoop(setup, run, controller, pool, SILENT)()
        baseline = conclude(setup, run, None)
    finally:
        run.close()
    assert baseline is not None and baseline.network is not None
    return compare_with_b0(setup, baseline.network, sample=0)


def _with_se_everywhere() -> str:
    """Return the space with SE 0.25 fixed in every stage, as YAML."""
    form = skeleton().form
    stages = [{**stage, "se": 0.25} for stage in form["stages"]]
    return to_yaml({**form, "name": "efficientnet-se", "stages": stages})


def _contrast(token: int) -> NDArray[np.float64]:
    """Return the contrast, ``(43,)``, of B0's option of a gene against the mean of the gene's other options."""
    rows = np.zeros((gene_sizes()[token], len(gene_sizes())), dtype=np.int64)
    rows[:, token] = np.arange(len(rows))
    steps = thermometer(rows).astype(np.float64)
    mine = b0_genes()[token]
    return np.asarray(steps[mine] - np.delete(steps, mine, axis=0).mean(axis=0))


@cache
def _sampled_genes() -> Genes:
    return np.random.default_rng(0).integers(0, gene_sizes(), size=(20_000, len(gene_sizes())))


def _macs_change(token: int) -> float:
    """Return the mean change of MACs from the other options of a gene to B0's, over random architectures."""
    table, means = CostTable(skeleton()), []
    for option in range(gene_sizes()[token]):
        genes = _sampled_genes().copy()
        genes[:, token] = option
        means.append(float(table.costs(genes)["macs"].mean()))
    mine = b0_genes()[token]
    return means[mine] - float(np.mean(np.delete(means, mine)))
