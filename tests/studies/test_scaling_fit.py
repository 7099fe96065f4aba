"""The grid search of alpha, beta, gamma: the grid, its run, kills, and its result."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nas.core.changes import nested
from nas.core.errors import InputError
from nas.evaluate.proxy.network import proxy_resolution
from nas.evaluate.proxy.settings import ProxySettings
from nas.scale.compound import Rule
from nas.scale.find_network import find_network
from nas.scale.grid import ScalingGrid, ScalingSpace
from nas.search.config import load_config
from nas.search_spaces import space as spaces
from nas.search_spaces.network import Network
from nas.search_spaces.yaml_format import network_to_dict, network_to_yaml
from nas.studies.own_resolution import train_at_own_resolution
from nas.studies.scaling_fit import _possible_family, fit_config
from tests.cli.test_search_killed import start, wait_for_trials
from tests.toys import read_trials, run_nas

B0 = find_network("efficientnet_b0")
PAPER = Rule(1.2, 1.1, 1.15)


def space(**changes: Any) -> ScalingSpace:
    return ScalingSpace(ScalingGrid.model_validate({"network": network_to_dict(B0), **changes}))


def test_the_papers_grid() -> None:
    """Step 0.05 within 0.08 of 2: 84 triples, 1.2/1.1/1.15 among them; a tolerance of 0.05 leaves it out."""
    grid = space()
    assert len(grid.rules) == 84 and PAPER in grid.rules
    assert PAPER not in space(tolerance=0.05).rules and PAPER not in space(step=0.1, tolerance=0.2).rules
    assert all(abs(rule.growth - 2) <= 0.08 + 1e-9 for rule in grid.rules)


def test_real_macs_may_be_what_doubles() -> None:
    grid = space(budget="macs", tolerance=0.05)
    assert PAPER not in grid.rules  # 2.573, at phi = 1
    assert all(1.95 <= grid.growth(rule) <= 2.05 for rule in grid.rules) and len(grid.rules) > 10
    assert space().growth(PAPER) == pytest.approx(2.573, abs=5e-4)


def test_triples_that_round_to_one_network_are_trained_once() -> None:
    grid = space()
    rows = list(grid.distinct())
    assert len(rows) < 84
    assert len({grid.decode(row).signature() for row in rows}) == len(rows)
    assert spaces.choices(grid, rows[0]) == {
        "alpha": grid.rules[rows[0].genes[0]].alpha,
        "beta": grid.rules[rows[0].genes[0]].beta,
        "gamma": grid.rules[rows[0].genes[0]].gamma,
    }


def test_a_grid_that_holds_nothing() -> None:
    with pytest.raises(InputError, match="no triple of step 0.9"):
        space(step=0.9, tolerance=0.01)


def test_networks_train_at_their_own_resolution() -> None:
    settings = ProxySettings(reference_resolution=224, resolution=32)
    assert [proxy_resolution(B0.at(resolution=side), settings, 45) for side in (224, 258, 112)] == [32, 37, 16]
    assert proxy_resolution(B0.at(resolution=500), ProxySettings(), 45) == 45


def test_images_are_kept_at_the_largest_side_but_for_small_ones(tmp_path: Path) -> None:
    networks = [B0, B0.at(resolution=448)]
    photos = load_config("proxy", nested({"data.source": str(tmp_path)}), [])
    kept = train_at_own_resolution(photos, B0, networks)
    assert kept.data.resolution == 64 and kept.evaluator["resolution"] == 32
    digits = train_at_own_resolution(load_config("proxy", nested({"data.source": "digits"}), []), B0, networks)
    assert digits.data.resolution == 32
    asked = load_config(
        "proxy", nested({"data.source": str(tmp_path)}), ["evaluator.resolution=48", "data.resolution=80"]
    )
    kept = train_at_own_resolution(asked, B0, networks)
    assert (kept.data.resolution, kept.evaluator["resolution"]) == (80, 48)
    with pytest.raises(InputError, match="trains no scaled networks"):
        train_at_own_resolution(load_config("default", {}, []), B0, networks)


def test_the_run_says_everything_that_decides_it() -> None:
    config = fit_config(
        B0,
        {"seed": 3, "objective": {"limits": {"memory_bytes": "80MB"}}, "scaling": {"step": 0.1}},
        ["evaluator.epochs=2"],
    )
    assert config.scaling is not None and config.scaling.step == 0.1 and config.seed == 3
    assert config.trials == len(list(ScalingSpace(config.scaling).distinct()))
    assert config.objective.limits == {"memory_bytes": 80e6} and config.confirm.candidates == 3
    with pytest.raises(InputError, match=r"scaling\.tolerance"):
        fit_config(B0, {"scaling": {"tolerance": 3.0}}, [])


@pytest.fixture
def place(image_folder: Path, tiny_network: Network) -> Path:
    (image_folder.parent / "small.yaml").write_text(network_to_yaml(tiny_network))
    return image_folder.parent


FLAGS = ("small.yaml", "--fit", "--data", "images", "--step", "0.25", "--tolerance", "0.3", "--workers", "0")
SETTINGS = ("data.resolution=16", "evaluator.epochs=1", "evaluator.batch_size=8", "confirm.rounds=2")
QUICK = tuple(word for setting in SETTINGS for word in ("--set", setting))


@pytest.mark.slow
def test_killed_and_resumed_it_names_the_same_triple(place: Path) -> None:
    whole = run_nas("scale", *FLAGS, *QUICK, "--out", "whole", cwd=place).stdout
    assert "Best triple     alpha" in whole and "Seed noise      ±" in whole and "network_phi7" in whole
    driver = start(*FLAGS, *QUICK, "--out", "broken", cwd=place, command="scale")
    wait_for_trials(place / "broken", 2)
    driver.kill()
    driver.wait()
    shown = run_nas("scale", "--resume", "broken", cwd=place).stdout
    assert "Resuming broken" in shown
    trials = [
        [{key: value for key, value in trial.items() if key != "seconds"} for trial in read_trials(place / name)]
        for name in ("whole", "broken")
    ]
    assert trials[0] == trials[1] and len(trials[0]) > 4
    reports = [json.loads((place / name / "scaling.json").read_text()) for name in ("whole", "broken")]
    assert reports[0] == reports[1]
    report = reports[0]
    assert len(report["triples"]) == len(trials[0]) and report["triples"][0]["alpha"] == report["alpha"]
    assert [member["phi"] for member in report["family"]] == [1, 2, 3, 4, 5, 6, 7]
    assert len(report["triples"][0]["confirmed"]) == 2 and report["noise"] >= 0
    assert len(list((place / "whole" / "family").glob("*.yaml"))) == 7
    refused = run_nas("search", "--resume", "whole", "--trials", "1", cwd=place, check=2)
    assert "--trials" in refused.stderr


def test_a_triple_whose_family_grows_beyond_any_table() -> None:
    """alpha = 2 makes 128 times as many layers at phi = 7; the members before that are made."""
    grid = space(step=1.0, tolerance=0.01)
    family = _possible_family(grid, Rule(2, 1, 1))
    assert [member.scaling.phi for member in family] == [1, 2, 3, 4, 5, 6]
    assert family[0].nominal_ratio == 2 and len(_possible_family(grid, PAPER)) == 7


@pytest.mark.slow
def test_json_is_all_that_is_printed(place: Path) -> None:
    flags = ("--step", "1", "--tolerance", "0.01", "--trials", "2", "--set", "confirm.candidates=1", "--json")
    shown = run_nas("scale", *FLAGS[:4], "--workers", "0", *flags, *QUICK, "--out", "run", cwd=place).stdout
    assert json.loads(shown) == json.loads((place / "run" / "scaling.json").read_text())


def test_a_search_is_no_grid(place: Path) -> None:
    run_nas("search", "--target-flops", "300M", "--trials", "2", "--out", "search", cwd=place)
    assert "is a run of nas search" in run_nas("scale", "--resume", "search", cwd=place, check=2).stderr
