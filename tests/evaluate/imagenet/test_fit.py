"""Fitting the surrogate again, on a small made-up table whose truth is known."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas.core.errors import InputError
from nas.core.statistics import agreement
from nas.evaluate.cost.latency.timing import fixed_threads
from nas.evaluate.imagenet import device_fit, fit, teachers
from nas.evaluate.imagenet.distil import fit_perceptron, random_genes
from nas.evaluate.imagenet.measured_table import DEVICE_COLUMNS, MeasuredTable, read_measured
from nas.evaluate.imagenet.prediction import FITS, Surrogate, forward, load_surrogate
from nas.evaluate.imagenet.skeleton import gene_sizes, thermometer
from tests.evaluate.imagenet.tables import made_up_rows, write_rows


@pytest.fixture(scope="module")
def quick() -> Iterator[None]:
    """Everything as it is, but smaller."""
    with pytest.MonkeyPatch.context() as patch, fixed_threads(1):
        for name, value in (("ARCHITECTURES", 30_000), ("HIDDEN", 32), ("EPOCHS", 12), ("FOLDS", 2)):
            patch.setattr(fit, name, value)
        for name, value in (("EPOCHS", 12), ("MEMBERS", 2), ("HIDDEN", 8), ("FOLDS", 2)):
            patch.setattr(device_fit, name, value)
        patch.setitem(fit.CANDIDATES, "perceptrons", lambda: teachers.Perceptrons(32, 2, 60))
        patch.setitem(fit.CANDIDATES, "Gaussian process", lambda: teachers.GaussianProcess(200, 25))
        patch.setitem(fit.CANDIDATES, "gradient boosting", lambda: teachers.Boosting(1, 200))
        yield


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> MeasuredTable:
    return read_measured(write_rows(tmp_path_factory.mktemp("table") / "t.csv", made_up_rows(1500)))


@pytest.fixture(scope="module")
def numbers(quick: None, table: MeasuredTable) -> dict[str, Any]:  # noqa: ARG001
    return fit.fit_surrogate(table, np.array([[60.0, 67.0], [62.0, 69.0], [64.0, 71.2]]))


def test_a_known_truth_is_learned_and_the_file_reads_back(numbers: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "s.npz").write_bytes(fit.save_numbers(numbers))
    surrogate = load_surrogate(tmp_path / "s.npz")
    rows = read_measured(write_rows(tmp_path / "new.csv", made_up_rows(100, seed=9)))
    for name in FITS:
        mean, spread = surrogate.accuracy(rows.genes, name)
        assert agreement(rows.columns["top1"], mean.astype(float))["kendall_tau"] > 0.8
        assert (spread > 0).all()
    devices = surrogate.device(rows.genes)
    for name in DEVICE_COLUMNS:
        assert agreement(rows.columns[name], devices[name].astype(float))["mape"] < 0.05
    assert surrogate.longer(np.array([60.0]), np.array([0.0]))[0][0] == pytest.approx(66.97, abs=0.1)
    assert surrogate.about["rows"] == 1500


@pytest.mark.slow
def test_one_seed_gives_one_file(numbers: dict[str, Any], table: MeasuredTable) -> None:
    said: list[str] = []
    pairs = np.array([[60.0, 67.0], [62.0, 69.0], [64.0, 71.2]])
    assert fit.save_numbers(fit.fit_surrogate(table, pairs, tell=said.append)) == fit.save_numbers(numbers)
    assert len(said) >= 5


def test_main_effects_find_what_each_step_is_worth(numbers: dict[str, Any]) -> None:
    points, covariance = numbers["effects.points"], numbers["effects.covariance"]
    truth = np.linspace(0.05, 0.5, len(points))
    away = (points - truth) / np.sqrt(np.diag(covariance))
    assert np.abs(away).max() < 4.5 and 0.6 < away.std() < 1.5


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
def test_every_candidate_is_compared(table: MeasuredTable) -> None:
    found = fit.compare_candidates(table)
    assert set(found) == {*fit.CANDIDATES, "stack"}
    assert all(row["kendall_tau"] > 0.7 for row in found.values())


def test_the_joined_perceptron_is_the_mean_of_its_members() -> None:
    genes = random_genes(600, np.random.default_rng(0))
    features = thermometer(genes)
    targets = np.stack([features.sum(axis=1), features[:, 0]], axis=1)
    members = [fit_perceptron(features, targets, 8, 2, batch=64, seed=seed) for seed in (0, 1, 2)]
    joined = forward(device_fit._joined(members), features)
    np.testing.assert_allclose(joined, np.mean([forward(layers, features) for layers in members], axis=0), atol=1e-4)


def test_a_perceptron_ignores_what_was_not_measured() -> None:
    genes = random_genes(1000, np.random.default_rng(0))
    features = thermometer(genes)
    targets = np.stack([features[:, :10].sum(axis=1), features[:, 10:20].sum(axis=1)], axis=1)
    targets[::2, 1] = np.nan
    predicted = forward(fit_perceptron(features, targets, 32, 40, batch=64), features)
    assert np.abs(predicted[:, 1] - features[:, 10:20].sum(axis=1)).mean() < 0.3


def test_drawn_architectures_are_of_the_space_and_often_alike_in_se() -> None:
    genes = random_genes(1000, np.random.default_rng(0))
    assert (genes >= 0).all() and (genes < np.array(gene_sizes())).all()
    alike = (genes[:, 3::4] == genes[:, 3:4]).all(axis=1).mean()
    assert 0.5 <= alike < 0.55


def test_what_is_missing_for_the_longer_schedule_is_named(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "t.csv", made_up_rows(3))
    with pytest.raises(InputError, match="--longer: .*top1_proxy"):
        fit.read_longer(path)
    rows = [{**row, "top1_proxy": 60.0 + place, "top1_longer": 67.0} for row in made_up_rows(2) for place in (0, 1)]
    assert sorted(fit.read_longer(write_rows(path, rows))[:, 0]) == [60.5, 60.5]


def test_the_numbers_must_make_a_surrogate() -> None:
    with pytest.raises(KeyError):
        Surrogate({})
