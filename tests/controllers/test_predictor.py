from __future__ import annotations

import json
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.controllers.predictor.batches import Beliefs, pick, pick_spread
from nas.controllers.predictor.features import Features, spread_of
from nas.controllers.predictor.gaussian_process import CONSTANT, OUTLIER, GaussianProcess, _standardised
from nas.controllers.predictor.inner_search import best_candidates, distinct
from nas.controllers.predictor.predictor import Predictor
from nas.controllers.predictor.scalarisation import Scalarisation
from nas.controllers.task import Numbers, Task
from nas.core.records import Architecture, Trial
from nas.search_spaces.domain import Columns, Domain, Genes
from nas.testing.toy_tasks import banded_task, made_up_trial, play
from tests.toys import PlainSpace

SIZES = (3, 2, 4, 1, 5)


def data(count: int, seed: int = 0) -> tuple[Features, Numbers, Numbers]:
    generator = np.random.default_rng(seed)
    features = Features(SIZES)
    genes = generator.integers(0, SIZES, size=(count, len(SIZES)))
    costs = {"macs": 1e8 * (1 + generator.random(count)), "params": 1e6 * (1 + generator.random(count))}
    return features, features.of(genes, costs), generator.normal(size=count)


def test_features_have_mean_0_and_equal_weight_over_the_options() -> None:
    features = Features(SIZES)
    every = np.stack(np.meshgrid(*[np.arange(size) for size in SIZES], indexing="ij"), axis=-1).reshape(-1, len(SIZES))
    rows = features.of(every, {})
    assert np.allclose(rows.mean(axis=0), 0, atol=1e-12)
    assert np.allclose(rows[:, :-2].std(axis=0)[~features.categorical[:-2]], 1)
    assert rows.shape[1] == len(features.groups) == (2 + 3) + 1 + (3 + 4) + 0 + (4 + 5) + 2
    neighbours, strangers = (np.abs(rows[one] - rows[0])[: 2 + 3].sum() for one in (2 * 4 * 5, 2 * 2 * 4 * 5))
    assert neighbours < strangers  # option 1 is nearer to option 0 than option 2 is


def test_the_posterior_is_the_textbooks() -> None:
    features, rows, values = data(12)
    process = GaussianProcess(features)
    process.condition(rows[:9], values[:9], rows[9:9])
    found = process.predict(rows[9:])
    standard = features.standardise(rows, spread_of(rows[:9])) * process._scales(process.hyperparameters)
    products = standard @ standard.T / len(SIZES)
    norms = np.diag(products)
    linear, quadratic, smooth = np.exp(process.hyperparameters[:3])
    covariance = CONSTANT + linear * products + quadratic * products**2
    covariance += smooth * np.exp(-(norms[:, None] + norms - 2 * products) / 2)
    inverse = np.linalg.inv(covariance[:9, :9] + process.noise * np.eye(9))
    targets, centre, scale = _standardised(values[:9])
    mean = covariance[9:, :9] @ inverse @ targets
    variance = np.diag(covariance[9:, 9:] - covariance[9:, :9] @ inverse @ covariance[:9, 9:])
    assert np.allclose(found.mean, centre + scale * mean)
    assert np.allclose(found.std, scale * np.sqrt(variance))
    joint_mean, joint = process.joint(rows[9:])
    assert np.allclose(joint_mean, found.mean)
    assert np.allclose(np.sqrt(np.diag(joint)), found.std)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_derivatives_are_those_of_finite_differences(seed: int) -> None:
    features, rows, values = data(15, seed)
    process = GaussianProcess(features)
    standard, targets = features.standardise(rows, spread_of(rows)), _standardised(values)[0]
    here = process.modes + np.random.default_rng(seed).normal(size=len(process.modes)) * 0.3
    _, gradient = process._negative_log_posterior(here, standard, targets)
    for place, step in enumerate(np.eye(len(here)) * 1e-5):
        above, below = (process._negative_log_posterior(here + way * step, standard, targets)[0] for way in (1, -1))
        assert gradient[place] == pytest.approx((above - below) / 2e-5, abs=1e-5, rel=1e-4)


def test_what_is_pending_takes_uncertainty_away_and_leaves_the_mean() -> None:
    features, rows, values = data(20)
    process = GaussianProcess(features)
    process.condition(rows[:10], values[:10], rows[10:10])
    before = process.predict(rows[10:])
    process.condition(rows[:10], values[:10], rows[10:15])
    after = process.predict(rows[10:])
    assert np.allclose(after.mean, before.mean)
    assert (after.std[:5] < 0.3 * before.std[:5]).all()
    assert (after.std <= before.std + 1e-9).all()


def test_hyperparameters_tell_what_matters() -> None:
    generator = np.random.default_rng(0)
    features = Features((4,) * 6)
    genes = generator.integers(0, 4, size=(80, 6))
    rows = features.of(genes, {})
    process = GaussianProcess(features)
    process.learn_hyperparameters(rows, genes[:, 2] * 1.0 + 0.3 * genes[:, 4], 40)
    weights = process.hyperparameters[5 : 5 + 6]
    assert weights.argmax() == 2
    assert sorted(weights)[-2] == weights[4]


def test_low_outliers_do_not_stretch_the_scale() -> None:
    values = np.array([0.70, 0.71, 0.72, 0.73, 0.10])
    usual = 1.4826 * 0.01
    standard, centre, scale = _standardised(values)
    assert (centre + scale * standard).min() == pytest.approx(0.71 - OUTLIER * usual)
    assert _standardised(np.full(4, 0.5))[0].tolist() == [0, 0, 0, 0]


def test_the_inner_search_finds_the_best_of_all() -> None:
    domain = Domain(PlainSpace("plain", (4,) * 14))  # 268 million
    target = np.random.default_rng(5).integers(0, 4, size=14)

    def score(genes: Genes) -> Numbers:
        return np.asarray(-np.abs(genes - target).sum(axis=1), dtype=np.float64)

    found, scores = best_candidates(domain, score, np.random.default_rng(0), target[None][:0], 20_000)
    assert found[0].tolist() == target.tolist()
    assert scores[0] == 0
    assert (np.diff(scores) <= 0).all()


def test_the_inner_search_stays_in_the_band() -> None:
    task = banded_task()
    genes, _ = best_candidates(
        task.domain, lambda genes: genes.sum(axis=1).astype(float), np.random.default_rng(0), _none(28), 2_000
    )
    assert task.domain.inside(genes).all()
    assert len(genes) > 50


@given(st.lists(st.lists(st.integers(0, 5), min_size=3, max_size=3), min_size=1, max_size=30))
@settings(max_examples=60, deadline=None)
def test_distinct_rows_are_the_first_of_each(rows: list[list[int]]) -> None:
    genes = np.array(rows, dtype=np.int64)
    first = [place for place, row in enumerate(rows) if row not in rows[:place]]
    assert distinct(genes).tolist() == first


def test_a_batch_is_no_cluster_of_near_copies() -> None:
    near = np.array([[1.0, 0.95, 0.0], [0.95, 1.0, 0.0], [0.0, 0.0, 1.0]])
    beliefs = Beliefs({"accuracy": np.array([1.0, 0.99, 0.5])}, {"accuracy": near.copy()}, {"accuracy": 1e-3})
    assert pick(beliefs, lambda stds: beliefs.means["accuracy"] + stds["accuracy"], 2) == [0, 2]
    assert pick_spread(near.copy(), 1e-3, [0], 1) == [2]


def test_the_mean_scalarisation_is_the_hypervolume() -> None:
    """Equation 1 of Zhang and Golovin 2020: E[max over points of min_i (y_i / w_i)]^k, times pi / 4 for k = 2."""
    scale = Scalarisation(np.zeros(2), np.ones(2))
    points = np.array([[1.0, 0.2], [0.6, 0.6], [0.1, 0.9]])
    generator = np.random.default_rng(0)
    values = [scale(points, scale.draw(generator)).max() ** 2 for _ in range(40_000)]
    hypervolume = 1.0 * 0.2 + 0.6 * 0.4 + 0.1 * 0.3
    assert math.pi / 4 * float(np.mean(values)) == pytest.approx(hypervolume, rel=0.02)


def search(
    domain: Domain, value: Callable[[Architecture], float | None], trials: int, batch: int = 1, **options: object
) -> tuple[Predictor, list[Architecture]]:
    controller = Predictor(Task(domain), 0, **options)  # type: ignore[arg-type]
    proposed: list[Architecture] = []
    while len(proposed) < trials:
        new = controller.ask(batch)
        for architecture in new:
            found = value(architecture)
            ok = found is not None
            metrics = {"accuracy": found} if found is not None else {}
            controller.tell([Trial(len(proposed), architecture, "ok" if ok else "failed", metrics, found)])
            proposed.append(architecture)
    return controller, proposed


def interactions(architecture: Architecture) -> float:
    genes = np.array(architecture.genes) / 3
    return float(0.6 + 0.02 * genes.sum() + 0.05 * genes[0] * genes[1] - 0.06 * genes[2] * genes[3])


def test_it_needs_few_trials_for_main_effects_and_interactions() -> None:
    domain = Domain(PlainSpace("plain", (4,) * 8))  # 65,536
    best = max(interactions(Architecture("plain", (3, 3, *pair, 3, 3, 3, 3))) for pair in [(3, 0), (0, 3), (3, 3)])
    _, proposed = search(domain, interactions, 60, batch=4, candidates=2_000)
    assert max(map(interactions, proposed)) == pytest.approx(best)


def test_what_always_fails_is_soon_avoided() -> None:
    domain = Domain(PlainSpace("plain", (4,) * 8))

    def value(architecture: Architecture) -> float | None:
        return None if architecture.genes[0] == 3 else interactions(architecture)

    _, proposed = search(domain, value, 60, batch=4, candidates=1_000)
    assert sum(architecture.genes[0] == 3 for architecture in proposed[30:]) <= 3
    assert sum(architecture.genes[0] == 2 for architecture in proposed[30:]) > 15


@pytest.mark.parametrize("tokens", [4, 7])
def test_half_a_space_that_fails_is_left_for_last(tokens: int) -> None:
    domain = Domain(PlainSpace("plain", (4,) * tokens))

    def value(architecture: Architecture) -> float | None:
        return None if architecture.genes[0] >= 2 else 0.5 + sum(architecture.genes) / 100

    _, proposed = search(domain, value, 60, batch=4, candidates=1_000)
    assert sum(architecture.genes[0] >= 2 for architecture in proposed[30:]) <= 2


def test_now_and_then_a_failure_changes_little() -> None:
    domain = Domain(PlainSpace("plain", (4,) * 8))
    generator = np.random.default_rng(3)
    _, proposed = search(
        domain, lambda one: None if generator.random() < 0.2 else interactions(one), 70, batch=4, candidates=1_000
    )
    assert max(map(interactions, proposed)) > 0.6 + 0.02 * 7 + 0.05 - 0.002


def test_sixty_four_at_once_are_spread() -> None:
    task = banded_task()
    controller = Predictor(task, 0, candidates=1_000)
    blind = np.array([architecture.genes for architecture in controller.ask(64)])
    assert np.min([(blind[one] != blind[:one]).sum(axis=1).min() for one in range(1, 64)]) >= 5
    for number, row in enumerate(blind[:30]):
        controller.tell([made_up_trial(task, number, controller.architecture(row))])
    informed = np.array([architecture.genes for architecture in controller.ask(30)])
    assert np.mean([(informed[one] != informed[:one]).sum(axis=1).mean() for one in range(1, 30)]) > 3


def test_a_warm_start_saves_trials_even_if_the_earlier_accuracies_were_lower() -> None:
    domain = Domain(PlainSpace("plain", (4,) * 8))
    earlier, proposed = search(domain, interactions, 40, batch=4, candidates=1_000)
    trials = [Trial(n, one, "ok", {"accuracy": interactions(one) - 0.3}, 0.0) for n, one in enumerate(proposed)]
    controller = Predictor(Task(domain), 1, candidates=1_000)
    controller.warm_start(trials)
    found = []
    for number in range(8):
        (architecture,) = controller.ask(1)
        found.append(interactions(architecture))
        controller.tell([Trial(number, architecture, "ok", {"accuracy": found[-1]}, found[-1])])
    assert max(found) >= max(map(interactions, proposed)) - 1e-9
    assert earlier.model.observations.earlier.count(True) == 0
    assert json.loads(json.dumps(controller.own_state()))["observations"]["earlier"] == [1] * 40 + [0] * 8


class CostedDomain(Domain):
    """Every option of every gene costs."""

    def costs(self, genes: Genes) -> Columns:
        return {"macs": 1e6 * (1 + genes.sum(axis=1))}


def test_two_objectives_give_a_front() -> None:
    domain = CostedDomain(PlainSpace("plain", (4,) * 8))
    weights = np.arange(1, 9)

    def value(architecture: Architecture) -> float:
        return 0.5 + float((weights * np.sqrt(np.array(architecture.genes))).sum()) / 200

    _, proposed = search(domain, value, 80, batch=4, candidates=1_000, objectives=["accuracy", "macs"])
    rng = np.random.default_rng(0)
    for budget in (6, 10, 14):
        drawn = rng.integers(0, 4, size=(20_000, 8))
        drawn = drawn[drawn.sum(axis=1) <= budget]
        best = 0.5 + float((weights * np.sqrt(drawn)).sum(axis=1).max()) / 200
        reached = max(value(one) for one in proposed if sum(one.genes) <= budget)
        assert reached > best - 0.02


def test_a_metric_that_is_not_known_before_is_learned_too() -> None:
    task = banded_task()
    controller = Predictor(task, 0, candidates=300, initial=5, objectives=["accuracy", "energy"])
    assert controller.model.metrics == ("accuracy", "energy")
    for number in range(9):
        (architecture,) = controller.ask(1)
        trial = made_up_trial(task, number, architecture)
        metrics = {**trial.metrics, "energy": float(sum(architecture.genes))}
        controller.tell([Trial(number, architecture, trial.status, metrics, trial.reward)])
    assert len(controller.ask(2)) == 2


def test_constant_accuracies_and_a_single_option_are_survived() -> None:
    for sizes in [(1,), (2,), (1, 1, 3), (40, 30)]:
        domain = Domain(PlainSpace("plain", sizes))
        controller = Predictor(Task(domain), 0, initial=2)
        proposed: list[Architecture] = []
        while len(proposed) < 30 and (new := controller.ask(1)):
            controller.tell([Trial(len(proposed), new[0], "ok", {"accuracy": 0.5}, 0.5)])
            proposed += new
        assert len(set(proposed)) == len(proposed) == min(math.prod(sizes), 30)


def test_more_results_than_it_takes_into_account() -> None:
    task = banded_task()
    controller = Predictor(task, 0, candidates=200, most=20, initial=5)
    play(controller, task, 40)
    assert len(controller.model.observations.most_telling(20)) == 20


def _none(tokens: int) -> Genes:
    return np.zeros((0, tokens), dtype=np.int64)
