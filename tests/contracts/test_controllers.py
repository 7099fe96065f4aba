"""The suite every controller passes: the one that ``nas check`` runs on a user's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nas.controllers.objectives import LACKED_LIMIT
from nas.controllers.registry import CONTROLLERS, check_options, find_controller, fitted_options, make_controller
from nas.core.errors import InputError
from nas.testing.controllers import CONTROLLER_CHECKS, remarks, run_controller_checks, the_same_in_another_process
from nas.testing.toy_tasks import ControllerSpec, banded_task, made_up_trial
from tests.toys import TOY_CONTROLLERS

SMALL: dict[str, dict[str, Any]] = {
    "evolution": {"population": 6, "sample": 3},
    "nsga2": {"population": 6},
    "local": {"start": 3, "patience": 6},
    "rl": {"batch": 5, "hidden": 16, "epochs": 2},
    "predictor": {"initial": 5, "candidates": 400},
}
MORE = [
    ControllerSpec("optuna:TPESampler", {"n_startup_trials": 5}),
    ControllerSpec("optuna:NSGAIISampler", {"population_size": 6, "objectives": ["accuracy", "macs"]}),
    ControllerSpec("predictor", {"initial": 5, "candidates": 400, "objectives": ["accuracy", "macs"]}),
    ControllerSpec("rl", {"batch": 5, "hidden": 16, "algorithm": "reinforce"}),
]
SUSPECTS = [ControllerSpec(name, SMALL.get(name, {})) for name in dict.fromkeys([*CONTROLLERS, *SMALL])]
EVERYONE = [*SUSPECTS, *(pytest.param(spec, marks=pytest.mark.slow) for spec in MORE)]


ANOTHER_PROCESS = pytest.param(the_same_in_another_process, marks=pytest.mark.slow)
CHECKED = [ANOTHER_PROCESS if check is the_same_in_another_process else check for check in CONTROLLER_CHECKS.values()]


@pytest.mark.parametrize("check", CHECKED, ids=lambda check: check.__name__)
@pytest.mark.parametrize("spec", EVERYONE, ids=lambda spec: f"{spec.name}-{len(spec.options)}")
def test_the_contract(spec: ControllerSpec, check: object) -> None:
    check(spec)  # type: ignore[operator]


@pytest.mark.parametrize("spec", SUSPECTS, ids=lambda spec: f"{spec.name}-{len(spec.options)}")
def test_wrong_options_are_named(spec: ControllerSpec) -> None:
    with pytest.raises(InputError, match=r"unknown key 'controller\.colour'"):
        check_options(spec.name, {"colour": 3})
    for key, default in find_controller(spec.name).options.items():
        if isinstance(default, int | float | tuple) and not spec.name.startswith("optuna"):
            with pytest.raises(InputError, match=rf"controller\.{key}: expected (a |text|true or false)"):
                check_options(spec.name, {key: "many"})


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("evolution", {"population": 0}, "population: expected at least 1, got 0"),
        ("evolution", {"population": 3, "sample": 4}, "sample: expected at most the population of 3, got 4"),
        ("nsga2", {"population": 1}, "population: expected at least 2, got 1"),
        ("nsga2", {"crossover": 2}, "crossover: expected a probability, got 2"),
        ("nsga2", {"objectives": ["accuracy", "accuracy"]}, "'accuracy' appears twice"),
        ("nsga2", {"objectives": [3]}, "expected names such as accuracy"),
        ("nsga2", {"constraints": {"latency_ms": "fast"}}, "constraints.latency_ms: expected a number, got 'fast'"),
        ("local", {"patience": 0}, "patience: expected at least 1, got 0"),
        ("rl", {"algorithm": "dqn"}, "algorithm: expected ppo or reinforce, got 'dqn'"),
        ("rl", {"clip": 0.0}, "clip: expected a number above 0"),
        ("rl", {"baseline": 1.0}, "baseline: expected a weight from 0 to below 1"),
        ("predictor", {"initial": 1}, "initial: expected at least 2, got 1"),
        ("predictor", {"kappa": -1}, "kappa: expected 0 or more, got -1"),
        ("predictor", {"objectives": ["macs"]}, "macs are known without any trial"),
        ("optuna:GridSampler", {}, "GridSampler lists the whole space"),
        ("optuna:TPESampler", {"n_startup_trials": "x"}, "n_startup_trials"),
    ],
)
def test_impossible_options_are_told(name: str, options: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        controller = make_controller(name, banded_task(), 0, options)
        controller.ask(1)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("evolutoin", "did you mean 'evolution'"),
        ("optuna:TPSampler", "did you mean 'TPESampler'"),
        ("optuna:PartialFixedSampler", "Optuna has no sampler 'PartialFixedSampler'"),
        ("optuna:samplers/auto_sampler", "pip install optunahub"),
    ],
)
def test_unknown_names(name: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        find_controller(name)


@pytest.fixture
def toys(tmp_path: Path) -> str:
    (tmp_path / "toys.py").write_text(TOY_CONTROLLERS)
    return f"{tmp_path}/toys.py"


def test_a_users_controller_passes(toys: str) -> None:
    assert list(run_controller_checks(ControllerSpec(f"{toys}:Good"))) == list(CONTROLLER_CHECKS)


def test_what_may_not_be_meant_is_remarked(toys: str) -> None:
    assert remarks(ControllerSpec(f"{toys}:Good")) == []
    (remark,) = remarks(ControllerSpec(f"{toys}:Silent"))
    assert "of 40 proposals 40 were drawn at random" in remark


@pytest.mark.parametrize("trials", [1, 3, 16, 100, 5000])
@pytest.mark.parametrize("name", CONTROLLERS)
def test_options_that_fit_a_run_are_possible(name: str, trials: int) -> None:
    options = fitted_options(name, trials, {})
    check_options(name, options)
    make_controller(name, banded_task(), 0, options)


@pytest.mark.parametrize(
    ("name", "trials", "given", "fitted"),
    [
        ("predictor", 12, {}, {"initial": 4}),
        ("predictor", 16, {}, {"initial": 5}),
        ("predictor", 500, {}, {"initial": 12}),
        ("predictor", 500, {"initial": 30}, {"initial": 30}),
        ("evolution", 40, {}, {"population": 10, "sample": 5}),
        ("evolution", 500, {}, {"population": 20, "sample": 5}),
        ("evolution", 5000, {}, {"population": 200, "sample": 20}),
        ("evolution", 5000, {"population": 3}, {"population": 3, "sample": 3}),
        ("evolution", 16, {"sample": 5}, {"population": 5, "sample": 5}),
        ("nsga2", 16, {}, {"population": 4}),
        ("random", 16, {}, {}),
        ("optuna:TPESampler", 16, {"n_startup_trials": 3}, {"n_startup_trials": 3}),
    ],
)
def test_options_fit_the_run(name: str, trials: int, given: dict[str, int], fitted: dict[str, int]) -> None:
    assert fitted_options(name, trials, given) == fitted


def test_a_predictor_that_would_never_predict_is_refused() -> None:
    with pytest.raises(InputError, match="initial: expected at most the run's 16 trials, got 99"):
        fitted_options("predictor", 16, {"initial": 99})


def test_a_subclass_has_options_of_its_own(toys: str) -> None:
    assert fitted_options(f"{toys}:Wide", 16, {}) == {}
    with pytest.raises(InputError, match=r"fitted\(16, \{\}\) raised ZeroDivisionError"):
        fitted_options(f"{toys}:Unfit", 16, {})


MISSPELT = [
    ("nsga2", {"objectives": ["accuracy", "acuracy"]}, r"objectives: no metric 'acuracy'.*did you mean 'accuracy'"),
    ("predictor", {"objectives": ["accuracy", "acuracy"]}, r"objectives: no metric 'acuracy'"),
    ("optuna:NSGAIISampler", {"objectives": ["accuracy", "acuracy"]}, r"objectives: no metric 'acuracy'"),
    ("nsga2", {"constraints": {"latency_mss": 3}}, r"constraints: no metric 'latency_mss'"),
]


@pytest.mark.parametrize(("name", "options", "words"), MISSPELT)
def test_a_metric_that_nobody_measures_is_told_soon(
    name: str, options: dict[str, Any], words: str, caplog: pytest.LogCaptureFixture
) -> None:
    task = banded_task()
    earlier = [
        made_up_trial(task, number, one) for number, one in enumerate(make_controller("random", task, 1, {}).ask(9))
    ]
    controller = make_controller(name, task, 0, options)
    controller.warm_start(earlier)  # an earlier run may have measured something else
    with pytest.raises(InputError, match=f"{words}.*--warm-start"):
        for number in range(4):
            controller.tell([made_up_trial(task, 7 * number, one) for one in controller.ask(1)])
    assert number == LACKED_LIMIT - 1
    assert len(caplog.records) == 1


@pytest.mark.parametrize(("name", "options"), [(name, options) for name, options, _ in MISSPELT])
def test_a_metric_that_some_lack_stops_nothing(name: str, options: dict[str, Any]) -> None:
    task = banded_task()
    controller = make_controller(name, task, 0, options)
    for number in range(9):
        (proposed,) = controller.ask(1)
        trial = made_up_trial(task, 7 * number, proposed)
        extra = {} if number else {"acuracy": 0.5, "latency_mss": 2.0}
        controller.tell([replace(trial, metrics={**trial.metrics, **extra})])
        if not number:
            state = controller.state_dict()
            controller = make_controller(name, task, 0, options)
            controller.load_state_dict(state)


@pytest.mark.parametrize("name", CONTROLLERS)
def test_states_of_genes_that_do_not_exist_are_refused(name: str) -> None:
    controller = make_controller(name, banded_task(), 0, SMALL.get(name, {}))
    controller.ask(2)
    state = controller.state_dict()
    damages: list[dict[str, Any]] = [{"pending": [[9] * 28]}, {"pending": [[0]]}, {"generator": {}}]
    for broken in damages:
        with pytest.raises(InputError):
            controller.load_state_dict({**state, **broken})
    assert controller.ask(0) == []


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Forgetful", "same proposals after a restart: restored after 3 trials"),
        ("Global", "same seed, same proposals: two runs with one seed differ"),
        ("Deaf", "same seed, same proposals: two seeds give the same proposals"),
        ("Fragile", "tell\\(\\) of trials that are failed raised TypeError"),
        ("Hashing", "another process gives other proposals"),
        ("Repeating", "different networks"),
        ("Odd", "state_dict\\(\\) raised TypeError"),
        ("Lazy", "of a space of 24 networks it proposed only"),
        ("Crashing", "ask\\(1\\) raised ZeroDivisionError.*line"),
        ("Late", "same proposals after a restart: restored after 110 trials"),
        ("Looked", "depends on whether state_dict\\(\\) was called"),
        ("Plain", "propose\\(\\) has to return self.architecture\\(genes\\) or None, got \\["),
        ("Halves", "propose\\(\\) has to return self.architecture\\(genes\\) or None, got Architecture"),
        ("Leaving", "tell\\(\\) of trials that are ok raised SystemExit: 3"),
        ("Askless", "ask\\(1\\) gave None"),
        ("NoController", "has to be a subclass"),
        ("Unfinished", "lacks propose"),
        ("Greedy", "its constructor must take a task and a seed"),
    ],
)
def test_broken_controllers_are_found_out(toys: str, name: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        list(run_controller_checks(ControllerSpec(f"{toys}:{name}")))
