from __future__ import annotations

import json
import sys
import types
from importlib.util import find_spec

import pytest

from nas.controllers.optuna_sampler import OptunaController, find_sampler, optuna_samplers
from nas.controllers.registry import find_controller, make_controller
from nas.controllers.task import Task
from nas.core.errors import InputError
from nas.core.records import Trial
from nas.search_spaces.domain import Domain
from nas.testing.toy_tasks import banded_task, made_up_trial, play
from tests.toys import PlainSpace

TINY = Task(Domain(PlainSpace("plain", (3, 2, 4))))


def test_every_sampler_that_can_be_made_is_offered() -> None:
    found = set(optuna_samplers())
    assert {"TPESampler", "GPSampler", "NSGAIISampler", "RandomSampler", "QMCSampler", "CmaEsSampler"} <= found
    assert not {"BaseSampler", "PartialFixedSampler"} & found


@pytest.mark.parametrize("name", ["TPE", "RandomSampler", "QMCSampler", "GridSampler", "BruteForceSampler", "NSGAIII"])
def test_samplers_propose_a_small_space_whole(name: str) -> None:
    controller = make_controller(f"optuna:{name}", TINY, 0, {})
    assert len(set(play(controller, TINY, 24))) == 24
    assert controller.ask(1) == []


def test_an_order_of_the_options_can_be_told() -> None:
    controller = make_controller("optuna:TPESampler", TINY, 0, {"categorical": False})
    assert len(set(play(controller, TINY, 12))) == 12


def test_the_sampler_learns_from_what_is_told() -> None:
    task = Task(Domain(PlainSpace("plain", (4,) * 10)))
    controller = make_controller("optuna:TPESampler", task, 0, {})
    sums = []
    for number in range(120):
        (architecture,) = controller.ask(1)
        sums.append(sum(architecture.genes))
        controller.tell([Trial(number, architecture, "ok", {"accuracy": sums[-1] / 30}, sums[-1] / 30)])
    assert sum(sums[-20:]) / 20 > 20 > sum(sums[:10]) / 10


def test_outside_the_band_and_repeats_are_the_samplers_failures_and_cost_no_trial() -> None:
    task = banded_task()
    controller = make_controller("optuna:RandomSampler", task, 0, {})
    proposed = play(controller, task, 10)
    assert isinstance(controller, OptunaController)
    states = [state for _, state, _, _ in controller.own_state()["trials"]]
    assert states.count("COMPLETE") == 9  # one failed by itself
    assert states.count("FAIL") > 11  # beside the ten that were taken up, one of which failed
    assert len(states) == states.count("COMPLETE") + states.count("FAIL")
    taken_up = {tuple(genes) for genes, state, _, _ in controller.own_state()["trials"] if state == "COMPLETE"}
    assert taken_up <= {architecture.genes for architecture in proposed}
    refused = [genes for genes, state, _, _ in controller.own_state()["trials"] if state == "FAIL"]
    assert len({tuple(genes) for genes in refused} & {one.genes for one in proposed}) == 1
    assert all(task.domain.admits(architecture) for architecture in proposed)


def test_a_samplers_own_attributes_stay_with_its_suggestions() -> None:
    controller = make_controller("optuna:NSGAIISampler", TINY, 0, {"population_size": 4})
    play(controller, TINY, 16)
    attributes = [found for _, state, _, found in controller.own_state()["trials"] if state == "COMPLETE"]
    generations = [value for found in attributes for key, value in found.items() if key.endswith("generation")]
    assert len(generations) == len(attributes)
    assert max(generations) >= 2


def test_pickles_are_not_taken_from_a_state() -> None:
    controller = make_controller("optuna:TPESampler", TINY, 0, {})
    play(controller, TINY, 3)
    state = json.loads(json.dumps(controller.state_dict()))
    state["study"]["cma:optimizer:0"] = "80049"
    for trial in state["trials"]:
        trial[3]["cma:popsize"] = "80049"
    second = make_controller("optuna:TPESampler", TINY, 1, {})
    second.load_state_dict(state)
    assert isinstance(second, OptunaController)
    study = second._study
    kept = [trial.system_attrs for trial in study.get_trials(deepcopy=False)]
    assert len(kept) == 3
    assert "cma:" not in str(kept)
    assert "cma:" not in str(study._storage.get_study_system_attrs(study._study_id))
    study._storage.set_study_system_attr(study._study_id, "cma:optimizer:0", "80049")
    assert "cma:" not in json.dumps(second.own_state())


@pytest.mark.skipif(find_spec("cmaes") is not None, reason="cmaes is installed here: nothing is missing")
def test_a_sampler_that_needs_more_says_what() -> None:
    with pytest.raises(InputError, match="needs 'cmaes': pip install cmaes"):
        play(make_controller("optuna:CmaEsSampler", TINY, 0, {"categorical": False}), TINY, 3)


def test_a_state_of_another_sampler_is_refused() -> None:
    state = json.loads(json.dumps(make_controller("optuna:RandomSampler", TINY, 0, {}).state_dict()))
    with pytest.raises(InputError, match="expected the state of TPESampler, got that of RandomSampler"):
        make_controller("optuna:TPESampler", TINY, 0, {}).load_state_dict(state)


def test_a_warm_start_is_told_to_the_study() -> None:
    controller = make_controller("optuna:TPESampler", TINY, 0, {})
    earlier = play(make_controller("random", TINY, 1, {}), TINY, 6)
    controller.warm_start([made_up_trial(TINY, number, one) for number, one in enumerate(earlier)])
    assert len(controller.own_state()["trials"]) == 5


def test_optunahubs_packages_are_loaded_through_its_own_library(monkeypatch: pytest.MonkeyPatch) -> None:
    from optuna.samplers import RandomSampler

    class HubSampler(RandomSampler):
        def __init__(self, strength: float = 1.0, seed: int | None = None) -> None:
            super().__init__(seed)
            self.strength = strength

    def load_module(package: str) -> types.ModuleType:
        if package != "samplers/mine":
            raise OSError("no such package")
        module = types.ModuleType("mine")
        module.HubSampler = HubSampler  # type: ignore[attr-defined]
        module.__all__ = ["HubSampler"]  # type: ignore[attr-defined]
        return module

    hub = types.ModuleType("optunahub")
    hub.load_module = load_module  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "optunahub", hub)
    assert find_sampler("samplers/mine") is find_sampler("samplers/mine:HubSampler") is HubSampler
    assert find_controller("optuna:samplers/mine").options["strength"] == 1.0
    assert len(play(make_controller("optuna:samplers/mine", TINY, 0, {"strength": 2.0}), TINY, 5)) == 5
    with pytest.raises(InputError, match="cannot be loaded: OSError: no such package"):
        find_sampler("samplers/other")
    with pytest.raises(InputError, match="did you mean 'HubSampler'"):
        find_sampler("samplers/mine:HubSample")
