"""The loop itself, with a pool whose trials end in whatever order a test wants."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas.controllers.registry import make_controller
from nas.core.callback import SILENT
from nas.core.changes import nested
from nas.core.errors import InputError, WorkError
from nas.core.records import Architecture, Evaluation, Trial
from nas.evaluate.contract import Job
from nas.evaluate.workers.pool import Finished
from nas.scale.find_network import find_network
from nas.search.assemble import Setup, prepare
from nas.search.baseline import best_trial, conclude, front_of
from nas.search.config import RunConfig, load_config
from nas.search.loop import SearchLoop
from nas.search.run_directory import Run
from tests.toys import TOY_CONTROLLERS, TOY_EVALUATORS

Score = Callable[[Job], Evaluation]


class Killed(Exception):
    """Stands for SIGKILL: nothing after it runs."""


class FakePool:
    """Ends jobs in a random order; dies after ``alive`` of them."""

    def __init__(self, workers: int, order: int, score: Score, alive: int = 10**9) -> None:
        self.capacity, self._score, self._alive = workers, score, alive
        self._jobs: list[Job] = []
        self._generator = np.random.default_rng(order)
        self.submitted: list[Job] = []
        self.forgotten: list[str] = []

    def submit(self, job: Job) -> None:
        assert len(self._jobs) < self.capacity
        self._jobs.append(job)
        self.submitted.append(job)

    def gather(self, timeout_s: float) -> list[Finished]:  # noqa: ARG002
        if self._alive == 0:
            raise Killed
        self._alive -= 1
        count = int(self._generator.integers(0, len(self._jobs) + 1))
        ended = [self._jobs.pop(int(self._generator.integers(len(self._jobs)))) for _ in range(count)]
        return [(job, self._score(job)) for job in ended]

    gpus_per_worker = 0.0

    def forget(self, checkpoints: Sequence[str]) -> None:
        self.forgotten += checkpoints

    def close(self) -> None: ...


def sine(job: Job) -> Evaluation:
    if job.number % 6 == 4:
        return Evaluation(job.architecture, "failed", {}, 0.1, "diverged: loss is nan", "diverged")
    accuracy = 0.5 + 0.4 * np.sin(sum((i + 1) * gene for i, gene in enumerate(job.architecture.genes))) ** 2
    return Evaluation(job.architecture, "ok", {"accuracy": float(accuracy)}, 0.1)


@pytest.fixture
def evaluator(tmp_path: Path) -> str:
    (tmp_path / "toys.py").write_text(TOY_EVALUATORS)
    return f"{tmp_path}/toys.py:Sine"


def configure(evaluator: str, workers: int = 1, **changes: Any) -> RunConfig:
    fixed = {
        "evaluator.name": evaluator,
        "workers.count": workers,
        "objective.target_flops": "300M",
        "controller": {"name": "evolution", "population": 5, "sample": 3},
    }
    return load_config(None, nested(fixed | changes), [])


def search(path: Path, config: RunConfig, pool: FakePool) -> tuple[Setup, Run, SearchLoop]:
    setup = prepare(config)
    run = Run.open(path) if path.exists() else Run.create(path, config, {}, "now")
    controller = make_controller(config.controller["name"], setup.task, config.seed, config.controller_options)
    loop = SearchLoop(setup, run, controller, pool, SILENT)
    try:
        loop()
    finally:
        run.close()
    return setup, run, loop


def genes_by_number(run: Run) -> dict[int, tuple[int, ...]]:
    return {trial.number: trial.architecture.genes for trial in run.trials}


def test_numbers_budget_and_rewards(tmp_path: Path, evaluator: str) -> None:
    _, run, _ = search(tmp_path / "run", configure(evaluator, workers=3, trials=40), FakePool(3, 0, sine))
    assert sorted(genes_by_number(run)) == list(range(40))
    assert len(set(genes_by_number(run).values())) == 40
    for trial in run.trials:
        assert 270e6 <= trial.metrics["macs"] <= 300e6
        if trial.status == "ok":
            expected = trial.metrics["accuracy"] * (trial.metrics["macs"] / 300e6) ** -0.07
            assert trial.reward == pytest.approx(expected)
        else:
            assert trial.reward is None and trial.error == "diverged: loss is nan"


def test_in_the_usual_mode_the_order_of_ends_decides(tmp_path: Path, evaluator: str) -> None:
    config = configure(evaluator, workers=3, trials=40)
    runs = [search(tmp_path / f"run{order}", config, FakePool(3, order, sine))[1] for order in (1, 2)]
    assert genes_by_number(runs[0]) != genes_by_number(runs[1])


@pytest.mark.parametrize("workers", [1, 3])
def test_in_deterministic_mode_it_does_not(tmp_path: Path, evaluator: str, workers: int) -> None:
    config = configure(evaluator, workers=workers, trials=40, **{"workers.deterministic": True})
    runs = [search(tmp_path / f"run{order}", config, FakePool(workers, order, sine))[1] for order in (1, 2, 3)]
    first = {trial.number: trial for trial in runs[0].trials}
    for run in runs[1:]:
        assert {trial.number: trial for trial in run.trials} == first


def test_one_worker_gives_the_same_in_both_modes(tmp_path: Path, evaluator: str) -> None:
    usual = search(tmp_path / "a", configure(evaluator, trials=30), FakePool(1, 1, sine))[1]
    config = configure(evaluator, trials=30, **{"workers.deterministic": True})
    assert search(tmp_path / "b", config, FakePool(1, 2, sine))[1].trials == usual.trials


@pytest.mark.parametrize("deterministic", [False, True])
@pytest.mark.parametrize("workers", [1, 3])
def test_killed_again_and_again_it_still_ends_with_every_number_once(
    tmp_path: Path, evaluator: str, workers: int, deterministic: bool
) -> None:
    config = configure(evaluator, workers=workers, trials=30, **{"workers.deterministic": deterministic})
    whole = search(tmp_path / "whole", config, FakePool(workers, 0, sine))[1]
    kills, run = 0, None
    while run is None:
        try:
            run = search(tmp_path / "run", config, FakePool(workers, 10 + kills, sine, alive=7))[1]
        except Killed:
            kills += 1
            journal = tmp_path / "run" / "trials.jsonl"
            if kills % 2 and journal.exists():
                with journal.open("a") as file:
                    file.write('{"number": 99, "gen')
    assert kills >= 3
    assert sorted(genes_by_number(run)) == list(range(30)) and len(run.trials) == 30
    assert len(set(genes_by_number(run).values())) == 30
    if workers == 1 or deterministic:
        assert genes_by_number(run) == genes_by_number(whole)


CONTROLLERS = [
    {"name": "random"},
    {"name": "nsga2", "population": 5},
    {"name": "local", "start": 3, "patience": 4},
    {"name": "rl", "batch": 4, "hidden": 8},
    {"name": "predictor", "initial": 4, "candidates": 300},
    {"name": "optuna:TPESampler", "n_startup_trials": 4},
]


@pytest.mark.parametrize("controller", CONTROLLERS, ids=lambda controller: controller["name"])
def test_whoever_proposes_goes_on_after_kills_as_if_never_killed(
    tmp_path: Path, evaluator: str, controller: dict[str, object]
) -> None:
    config = configure(evaluator, trials=24, controller=controller)
    whole = search(tmp_path / "whole", config, FakePool(1, 0, sine))[1]
    kills, run = 0, None
    while run is None:
        try:
            run = search(tmp_path / "run", config, FakePool(1, kills, sine, alive=5))[1]
        except Killed:
            kills += 1
    assert kills >= 3
    assert run.trials == whole.trials


@pytest.mark.parametrize("name", ["predictor", "evolution", "nsga2", "local", "optuna:TPESampler"])
def test_a_warm_start_is_told_once_and_survives_a_kill(tmp_path: Path, evaluator: str, name: str) -> None:
    options = {"predictor": {"candidates": 300}, "nsga2": {"population": 6}}.get(name, {})
    controller = {"name": name, **options}
    search(tmp_path / "earlier", configure(evaluator, trials=12), FakePool(1, 0, sine))
    config = configure(evaluator, trials=10, controller=controller, warm_start=str(tmp_path / "earlier"))
    setup, whole, _ = search(tmp_path / "whole", config, FakePool(1, 0, sine))
    assert len(setup.earlier) == 12
    assert sorted(genes_by_number(whole)) == list(range(10))
    with pytest.raises(Killed):
        search(tmp_path / "run", config, FakePool(1, 0, sine, alive=5))
    assert search(tmp_path / "run", config, FakePool(1, 0, sine))[1].trials == whole.trials
    cold = configure(evaluator, trials=10, controller=controller)
    assert genes_by_number(search(tmp_path / "cold", cold, FakePool(1, 0, sine))[1]) != genes_by_number(whole)


def test_an_earlier_runs_rewards_are_this_runs(tmp_path: Path, evaluator: str) -> None:
    search(tmp_path / "earlier", configure(evaluator, trials=8), FakePool(1, 0, sine))
    hard: dict[str, Any] = {"objective.constraint": "hard", "controller": {"name": "evolution"}}
    for trial in prepare(configure(evaluator, warm_start=str(tmp_path / "earlier"), **hard)).earlier:
        assert trial.reward == (trial.metrics["accuracy"] if trial.status == "ok" else None)


def test_a_damaged_checkpoint_is_told_with_the_way_out(tmp_path: Path, evaluator: str) -> None:
    config = configure(evaluator, trials=20)
    with pytest.raises(Killed):
        search(tmp_path / "run", config, FakePool(1, 0, sine, alive=8))
    file = tmp_path / "run" / "controller.json"
    state = json.loads(file.read_text())
    del state["controller"]["population"]
    file.write_text(json.dumps(state))
    with pytest.raises(
        InputError, match=r"controller\.json: the state of controller 'evolution' is damaged, .*: KeyError"
    ):
        search(tmp_path / "run", config, FakePool(1, 0, sine))
    file.unlink()
    assert len(search(tmp_path / "run", config, FakePool(1, 0, sine))[1].trials) == 20


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Crashing", r"ask\(\) raised ZeroDivisionError.*toys.py.*nas check"),
        ("Fragile", r"tell\(\) raised TypeError"),
        ("Odd", r"state_dict\(\) raised TypeError"),
        ("Leaving", r"tell\(\) raised SystemExit: 3"),
    ],
)
def test_what_a_users_controller_raises_is_worded(tmp_path: Path, evaluator: str, name: str, words: str) -> None:
    (tmp_path / "controllers.py").write_text(TOY_CONTROLLERS)
    config = configure(evaluator, trials=20, controller={"name": f"{tmp_path}/controllers.py:{name}"})
    with pytest.raises(WorkError, match=words.replace("toys.py", "controllers.py")):
        search(tmp_path / "run", config, FakePool(1, 0, sine))


def test_a_users_ask_that_gives_no_list_is_told(tmp_path: Path, evaluator: str) -> None:
    (tmp_path / "controllers.py").write_text(TOY_CONTROLLERS)
    config = configure(evaluator, trials=20, controller={"name": f"{tmp_path}/controllers.py:Askless"})
    with pytest.raises(InputError, match=r"ask\(\) has to return a list, got None"):
        search(tmp_path / "run", config, FakePool(1, 0, sine))


@pytest.mark.parametrize("pending", [[[3]], [[3, [0]]], [["x", [0] * 28]], 7])
def test_proposals_of_a_damaged_checkpoint_are_told(tmp_path: Path, evaluator: str, pending: object) -> None:
    config = configure(evaluator, trials=20)
    with pytest.raises(Killed):
        search(tmp_path / "run", config, FakePool(1, 0, sine, alive=8))
    file = tmp_path / "run" / "controller.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"pending": pending}))
    with pytest.raises(InputError, match=r"controller\.json: .*delete that file"):
        search(tmp_path / "run", config, FakePool(1, 0, sine))


def test_a_lost_checkpoint_is_said_and_survived(
    tmp_path: Path, evaluator: str, caplog: pytest.LogCaptureFixture
) -> None:
    config = configure(evaluator, workers=2, trials=20)
    with pytest.raises(Killed):
        search(tmp_path / "run", config, FakePool(2, 0, sine, alive=8))
    (tmp_path / "run" / "controller.json").write_text("")
    _, run, _ = search(tmp_path / "run", config, FakePool(2, 1, sine))
    assert sorted(genes_by_number(run)) == list(range(20)) and len(set(genes_by_number(run).values())) == 20
    assert "no usable controller checkpoint" in caplog.text


def test_a_resumed_run_with_a_smaller_goal_ends_there_exactly(tmp_path: Path, evaluator: str) -> None:
    with pytest.raises(Killed):
        search(tmp_path / "run", configure(evaluator, workers=4, trials=60), FakePool(4, 0, sine, alive=5))
    finished = len((tmp_path / "run" / "trials.jsonl").read_text().splitlines())
    smaller = configure(evaluator, workers=4, trials=finished + 1)
    _, run, _ = search(tmp_path / "run", smaller, FakePool(4, 1, sine))
    assert len(run.trials) == finished + 1


def test_seeds_depend_on_the_number_alone(tmp_path: Path, evaluator: str) -> None:
    seeds = []
    for workers in (1, 3):
        pool = FakePool(workers, workers, sine)
        search(tmp_path / str(workers), configure(evaluator, workers=workers, trials=12), pool)
        seeds.append({job.number: job.seed for job in pool.submitted})
    assert seeds[0] == seeds[1] and len(set(seeds[0].values())) == 12


def test_a_small_space_ends_the_search_early(tmp_path: Path, evaluator: str) -> None:
    (tmp_path / "two.py").write_text("class Two:\n    name = 'two'\n    gene_sizes = (2, 3)\n")
    changes = {"space": f"{tmp_path}/two.py:Two", "objective.target_flops": None, "trials": 50}
    config = load_config(None, nested({"evaluator.name": evaluator, "workers.count": 2} | changes), [])
    _, run, loop = search(tmp_path / "run", config, FakePool(2, 0, sine))
    assert len(run.trials) == 6 and loop.exhausted


def test_the_same_exception_in_the_first_trials_stops_the_search(tmp_path: Path, evaluator: str) -> None:
    def broken(job: Job) -> Evaluation:
        return Evaluation(job.architecture, "failed", {}, 0.0, "TypeError: no", "exception", "Traceback: line 3")

    with pytest.raises(
        WorkError, match=r"the first \d trials all failed with the same error: TypeError: no\nTraceback"
    ):
        search(tmp_path / "run", configure(evaluator, trials=30), FakePool(1, 0, broken))
    _, run, _ = search(tmp_path / "run", configure(evaluator, trials=30), FakePool(1, 0, sine))
    assert len(run.trials) == 30


def test_exceptions_that_differ_or_other_faults_do_not_stop_it(tmp_path: Path, evaluator: str) -> None:
    def odd(job: Job) -> Evaluation:
        return Evaluation(job.architecture, "failed", {}, 0.0, f"ValueError: {job.number}", "exception")

    def diverging(job: Job) -> Evaluation:
        return Evaluation(job.architecture, "failed", {}, 0.0, "diverged: loss is nan", "diverged")

    for name, score in (("odd", odd), ("diverging", diverging)):
        _, run, _ = search(tmp_path / name, configure(evaluator, trials=8), FakePool(1, 0, score))
        assert len(run.trials) == 8
        assert conclude(prepare(run.config), run, None) is None


def test_the_outcome_is_written_and_loads_as_a_thing(tmp_path: Path, evaluator: str) -> None:
    setup, run, _ = search(tmp_path / "run", configure(evaluator, trials=25), FakePool(1, 0, sine))
    baseline = conclude(setup, run, None)
    assert baseline is not None and baseline.network is not None
    best = max(trial.reward for trial in run.trials if trial.reward is not None)
    assert baseline.trial.reward == best
    assert find_network(str(run.path)) == baseline.network
    assert run.read("result.json")["macs"] == baseline.trial.metrics["macs"]
    rows = (run.path / "front.csv").read_text().splitlines()
    assert rows[0].startswith("number,reward,accuracy,macs,params,memory_bytes,")
    assert len(rows) == 1 + len(baseline.front)


def test_ties_go_to_the_cheaper_then_the_earlier() -> None:
    def make(number: int, macs: int, reward: float | None) -> Trial:
        status = "failed" if reward is None else "ok"
        return Trial(number, Architecture("s", (number,)), status, {"accuracy": 0.5, "macs": macs}, reward)  # type: ignore[arg-type]

    assert best_trial([make(0, 5, 0.5), make(1, 3, 0.5), make(2, 3, 0.5), make(3, 1, None)]) == make(1, 3, 0.5)
    assert best_trial([make(0, 5, None)]) is None
    assert [trial.number for trial in front_of([make(0, 5, 0.5), make(1, 3, 0.5), make(3, 1, None)])] == [1]
