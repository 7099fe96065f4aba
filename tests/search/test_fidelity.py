"""Successive halving, confirmation rounds and budgets in the search loop, on a pool that ends jobs in random orders."""

from __future__ import annotations

import contextlib
import io
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from nas.cli.display.search_summary import print_baseline
from nas.controllers.registry import make_controller
from nas.core.callback import SILENT
from nas.core.changes import nested
from nas.core.errors import InputError, WorkError
from nas.core.records import Architecture, Evaluation, Trial
from nas.evaluate.contract import Job
from nas.evaluate.proxy.paused import checkpoint_key
from nas.search.assemble import Setup, prepare
from nas.search.baseline import conclude
from nas.search.config import RunConfig, load_config
from nas.search.confirmation import choose, confirm_best
from nas.search.fidelity import RUNGS
from nas.search.loop import SearchLoop
from nas.search.run_directory import Run
from nas.search.time_budget import TimeAccount, TimeBudget
from tests.search.test_loop import FakePool, Killed
from tests.toys import TOY_EVALUATORS, Heard


def worth(genes: tuple[int, ...]) -> float:
    return 0.5 + 0.3 * float(np.sin(sum((i + 1) * gene for i, gene in enumerate(genes)))) ** 2


def learning(job: Job) -> Evaluation:
    """More epochs, a better accuracy; every seventh trial fails in its second training."""
    epochs = sum(job.cycles) or 9
    if job.number % 7 == 3 and epochs > 1:
        return Evaluation(job.architecture, "failed", {}, 1.0, "diverged: loss is nan", "diverged")
    accuracy = worth(job.architecture.genes) * (1 - 0.3 / epochs)
    return Evaluation(job.architecture, "ok", {"accuracy": accuracy}, float(job.cycles[-1] if job.cycles else 9))


@pytest.fixture
def evaluator(tmp_path: Path) -> str:
    (tmp_path / "toys.py").write_text(TOY_EVALUATORS)
    return f"{tmp_path}/toys.py:Paused"


def configure(
    evaluator: str, workers: int = 1, changes: Mapping[str, Any] = MappingProxyType({}), **more: Any
) -> RunConfig:
    fixed = {
        "evaluator.name": evaluator,
        "workers.count": workers,
        "objective.target_flops": "300M",
        "fidelity.method": "asha",
        "fidelity.max_epochs": 9,
        "controller": {"name": "evolution", "population": 5, "sample": 3},
    }
    return load_config(None, nested(fixed | dict(changes) | more), [])


def search(
    path: Path, config: RunConfig, pool: FakePool, time_account: TimeAccount | None = None
) -> tuple[Setup, Run, SearchLoop]:
    setup = prepare(config)
    run = Run.open(path) if path.exists() else Run.create(path, config, {}, "now")
    controller = make_controller(config.controller["name"], setup.task, config.seed, config.controller_options)
    loop = SearchLoop(setup, run, controller, pool, SILENT, time_account)
    try:
        loop()
    finally:
        run.close()
    return setup, run, loop


@pytest.mark.parametrize("workers", [1, 4])
def test_most_are_pruned_early_and_the_best_are_trained_in_full(tmp_path: Path, evaluator: str, workers: int) -> None:
    pool = FakePool(workers, 0, learning)
    _, run, _ = search(tmp_path / "run", configure(evaluator, workers, trials=40), pool)
    assert sorted(trial.number for trial in run.trials) == list(range(40))
    by_status = {status: [t for t in run.trials if t.status == status] for status in ("ok", "pruned", "failed")}
    assert len(by_status["ok"]) >= 2 and len(by_status["pruned"]) > 20
    assert all(trial.metrics["epochs"] == 9 and trial.reward for trial in by_status["ok"])
    assert all(trial.metrics["epochs"] in (1, 3) and trial.reward is None for trial in by_status["pruned"])
    epochs = sum(job.cycles[-1] for job in pool.submitted)
    assert epochs < 0.5 * 40 * 9
    assert sum(trial.seconds for trial in run.trials) == pytest.approx(
        sum(learning(job).seconds for job in pool.submitted)
    )
    keys = {checkpoint_key(str((tmp_path / "run").resolve()), number) for number in range(40)}
    assert set(pool.forgotten) == keys  # nobody's paused training is left behind
    assert all(job.pause == (sum(job.cycles) < 9) and job.checkpoint in keys for job in pool.submitted)


def test_controllers_are_told_what_a_pruned_training_would_have_come_to(
    tmp_path: Path, evaluator: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Trial] = []
    from nas.controllers.regularized_evolution import RegularizedEvolution

    original = RegularizedEvolution.learn

    def learn(self: RegularizedEvolution, trial: Trial) -> None:
        told.append(trial)
        original(self, trial)

    monkeypatch.setattr(RegularizedEvolution, "learn", learn)
    _, run, _ = search(tmp_path / "run", configure(evaluator, trials=40), FakePool(1, 0, learning))
    pruned = {trial.number for trial in run.trials if trial.status == "pruned"}
    late = [trial for trial in told if trial.number in pruned][-10:]
    assert len(late) == 10
    stopped_at = {trial.number: trial.metrics["accuracy"] for trial in run.trials if trial.status == "pruned"}
    errors, errors_before = [], []
    for trial in late:
        assert trial.status == "ok" and trial.reward is not None
        in_full = worth(trial.architecture.genes) * (1 - 0.3 / 9)
        errors.append(abs(trial.metrics["accuracy"] - in_full))
        errors_before.append(abs(stopped_at[trial.number] - in_full))
    assert np.mean(errors) < 0.5 * np.mean(errors_before)


@pytest.mark.parametrize("controller", [{"name": "evolution", "population": 5, "sample": 3}, {"name": "local"}])
def test_killed_again_and_again_it_comes_to_the_same(
    tmp_path: Path, evaluator: str, controller: dict[str, object]
) -> None:
    config = configure(evaluator, trials=24, controller=controller)
    whole = search(tmp_path / "whole", config, FakePool(1, 0, learning))[1]
    kills, run = 0, None
    while run is None:
        try:
            run = search(tmp_path / "run", config, FakePool(1, kills, learning, alive=6))[1]
        except Killed:
            kills += 1
            rungs = tmp_path / "run" / RUNGS
            if kills % 2 and rungs.exists():
                with rungs.open("a") as file:
                    file.write('{"number": 99, "gen')
    assert kills >= 3
    assert [(t.number, t.status, t.architecture) for t in run.trials] == [
        (t.number, t.status, t.architecture) for t in whole.trials
    ]


@pytest.mark.parametrize("workers", [2, 5])
def test_killed_with_many_workers_every_number_ends_once(tmp_path: Path, evaluator: str, workers: int) -> None:
    config = configure(evaluator, workers, trials=30)
    kills, run = 0, None
    while run is None:
        try:
            run = search(tmp_path / "run", config, FakePool(workers, kills, learning, alive=9))[1]
        except Killed:
            kills += 1
    assert kills >= 2
    assert sorted(trial.number for trial in run.trials) == list(range(30))
    assert len({trial.architecture for trial in run.trials}) == 30


def test_rungs_of_proposals_that_were_lost_are_nobodys(tmp_path: Path, evaluator: str) -> None:
    """Without the controller's state, numbers are given to other networks."""
    config = configure(evaluator, trials=20)
    for _ in range(3):  # each time a fresh controller proposes the same networks under the same numbers
        with pytest.raises(Killed):
            search(tmp_path / "run", config, FakePool(1, 0, learning, alive=9))
        (tmp_path / "run" / "controller.json").unlink()
    _, run, loop = search(tmp_path / "run", config, FakePool(1, 0, learning))
    assert sorted(trial.number for trial in run.trials) == list(range(20))
    assert not loop._paused
    by_number = {trial.number: trial for trial in run.trials}
    rungs = [(row["number"], row["rung"]) for row in run.rows(RUNGS)]
    assert max(rung for _, rung in rungs) <= 1
    for row in run.rows(RUNGS)[-5:]:
        assert list(by_number[row["number"]].architecture.genes) == row["genes"]
    assert all(trial.metrics["epochs"] == 9 for trial in run.trials if trial.status == "ok")


def test_a_space_that_runs_out_still_trains_its_best_in_full(tmp_path: Path) -> None:
    (tmp_path / "toys.py").write_text(TOY_EVALUATORS)
    (tmp_path / "five.py").write_text("class Space:\n    name, gene_sizes = 'five', (5,)\n")
    changes = {"space": f"{tmp_path}/five.py:Space", "objective.target_flops": None, "trials": 20}
    config = configure(f"{tmp_path}/toys.py:Paused", changes=changes)
    _, run, loop = search(tmp_path / "run", config, FakePool(1, 0, learning))
    assert loop.exhausted and len(run.trials) == 5
    assert {trial.status for trial in run.trials} == {"ok", "pruned", "failed"} - (
        set() if any(trial.status == "failed" for trial in run.trials) else {"failed"}
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"evaluator.name": "imagenet"}, "fidelity.method: asha trains some networks longer, but evaluator 'imagenet'"),
        ({"fidelity.max_epochs": None}, "fidelity.max_epochs: give it"),
        (
            {"fidelity.min_epochs": 9},
            "fidelity.min_epochs: expected fewer than the 9 epochs of the longest training, got 9",
        ),
        ({"workers.deterministic": True}, "workers.deterministic: with asha"),
        ({"fidelity.reduction": 1}, "fidelity.reduction"),
        ({"budget": "4x"}, "budget: expected a number with a unit, such as 2h, 90m, 24gpuh or 8cpuh, got '4x'"),
    ],
)
def test_schedules_that_cannot_be_are_refused(evaluator: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        configure(evaluator, changes={"fidelity.max_epochs": 9} | changes)


def test_an_evaluator_that_knows_no_epochs_is_refused(tmp_path: Path) -> None:
    (tmp_path / "toys.py").write_text(TOY_EVALUATORS)
    with pytest.raises(InputError, match="evaluate needs a parameter 'epochs'"):
        prepare(configure(f"{tmp_path}/toys.py:Sine"))


# --- images that vanish


def test_images_that_are_gone_stop_the_run_and_blame_no_other_network(tmp_path: Path, evaluator: str) -> None:
    def gone(job: Job) -> Evaluation:
        if job.number < 3:
            return learning(job)
        return Evaluation(job.architecture, "failed", {}, 0.0, "the prepared images /x cannot be read", "data")

    config = configure(evaluator, trials=20, changes={"fidelity.method": "full"})
    with pytest.raises(WorkError, match=r"the prepared images /x cannot be read. Put them back, then: .*--resume"):
        search(tmp_path / "run", config, FakePool(1, 0, gone))
    run = Run.open(tmp_path / "run")
    assert [trial.status for trial in run.trials] == ["ok", "ok", "ok", "failed"]
    run.close()


def test_where_a_budget_ends_the_run_verdicts_go_by_what_is_expected(
    tmp_path: Path, evaluator: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nas.controllers.regularized_evolution import RegularizedEvolution

    told: list[int] = []
    monkeypatch.setattr(RegularizedEvolution, "learn", lambda self, trial: told.append(trial.number))
    config = configure(evaluator, trials=1_000_000, expected_trials=60, budget="0.05cpuh")
    time_account = TimeAccount(TimeBudget.parse("0.05cpuh"), 0.0)
    _, run, _ = search(tmp_path / "run", config, FakePool(1, 0, learning), time_account)
    assert len(told) > 0.5 * len(run.trials) > 20


# --- budgets


@pytest.mark.parametrize(
    ("text", "kind", "seconds"),
    [
        ("2h", "clock", 7200),
        ("90m", "clock", 5400),
        ("24gpuh", "gpu", 86400),
        (".5cpuh", "cpu", 1800),
        ("40 s", "clock", 40),
    ],
)
def test_budgets_are_read_as_people_write_them(text: str, kind: str, seconds: float) -> None:
    budget = TimeBudget.parse(text)
    assert (budget.kind, budget.seconds) == (kind, seconds)


@pytest.mark.parametrize("text", ["", "2", "0h", "-2h", "2 weeks", "24GPU"])
def test_other_budgets_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="budget: expected a number with a unit, such as 2h, 90m, 24gpuh or 8cpuh"):
        TimeBudget.parse(text)


def test_gpu_hours_need_a_gpu() -> None:
    with pytest.raises(InputError, match="24gpuh are GPU-hours, but trials use no GPU here; give cpuh"):
        TimeAccount(TimeBudget.parse("24gpuh"), 0.0)


def test_what_a_budget_affords() -> None:
    assert TimeAccount(TimeBudget.parse("1h"), 0.0, trial_s=60).affords(4) in (239, 240)  # the clock runs
    assert TimeAccount(TimeBudget.parse("1gpuh"), 0.25, trial_s=60).affords(4) == 240
    assert TimeAccount(TimeBudget.parse("1cpuh"), 0.0, trial_s=60).affords(4) == 60
    assert TimeAccount(TimeBudget.parse("1h"), 0.0).affords(4) is None


@pytest.mark.parametrize("method", ["full", "asha"])
def test_a_budget_of_all_workers_together_ends_the_run_in_time(tmp_path: Path, evaluator: str, method: str) -> None:
    config = configure(evaluator, 3, trials=1000, changes={"fidelity.method": method}, budget="0.05cpuh")
    time_account = TimeAccount(TimeBudget.parse("0.05cpuh"), 0.0)  # 180 s: twenty trainings of 9 s
    _, run, loop = search(tmp_path / "run", config, FakePool(3, 0, learning), time_account)
    assert loop.spent
    taken = sum(trial.seconds for trial in run.trials)
    longest = 9 if method == "full" else 6  # of a training; none begins that the mean of those before says is too long
    assert 180 - 3 * longest <= taken <= 180 + (0 if method == "full" else 2 * longest)
    assert any(trial.status == "ok" for trial in run.trials)
    if method == "asha":
        assert len(run.trials) > 25
    with pytest.raises(Killed):
        search(
            tmp_path / "run", config, FakePool(3, 1, learning, alive=8), TimeAccount(TimeBudget.parse("0.1cpuh"), 0.0)
        )
    more = TimeAccount(TimeBudget.parse("0.1cpuh"), 0.0)
    _, run, _ = search(tmp_path / "run", config, FakePool(3, 1, learning), more)
    assert 280 <= sum(trial.seconds for trial in run.trials) <= 370  # what was spent before counts


def test_a_tiny_budget_still_finds_something(tmp_path: Path, evaluator: str) -> None:
    config = configure(evaluator, trials=1000, budget="1s")
    _, run, _ = search(
        tmp_path / "run", config, FakePool(1, 0, learning), TimeAccount(TimeBudget.parse("0.0001cpuh"), 0.0)
    )
    assert [(trial.status, trial.metrics["epochs"]) for trial in run.trials] == [("ok", 9)]


# --- confirmation rounds


def trial(number: int, reward: float, status: str = "ok") -> Trial:
    metrics = {"accuracy": reward, "epochs": 9 if status == "ok" else 1}
    known = reward if status == "ok" else None
    return Trial(number, Architecture("space", (number,)), status, metrics, known)  # type: ignore[arg-type]


def test_candidates_are_the_best_and_as_many_spread_over_the_others() -> None:
    trials = [trial(number, 0.9 - 0.01 * number) for number in range(20)] + [trial(20, 0.0, "failed")]
    best, others = choose(trials, 3, lambda metrics: metrics["accuracy"])  # type: ignore[arg-type]
    assert [one.number for one in best] == [0, 1, 2]
    assert [one.number for one in others] == [3, 11, 19]
    pruned = [trial(0, 0.5), trial(1, 0.9, "pruned"), trial(2, 0.6)]
    best, others = choose(pruned, 2, lambda metrics: metrics["accuracy"])  # type: ignore[arg-type]
    assert [one.number for one in best] == [2, 0] and [one.number for one in others] == [1]


def noisy(job: Job) -> Evaluation:
    """The search's accuracies are mostly luck; longer trainings less so."""
    epochs = sum(job.cycles)
    noise = np.random.default_rng(job.seed).normal() * (0.002 if epochs else 0.05)
    metrics = {"accuracy": float(np.clip(worth(job.architecture.genes) + noise, 0, 1))}
    if job.method == "test":
        metrics["test_accuracy"] = metrics["accuracy"] - 0.01
    return Evaluation(job.architecture, "ok", metrics, 1.0)


def test_the_winner_is_chosen_by_rounds_and_not_by_one_lucky_trial(tmp_path: Path, evaluator: str) -> None:
    lucky, confirmed = [], []
    for seed in range(6):
        changes = {"fidelity.method": "full", "confirm.candidates": 4, "confirm.epochs": 27, "seed": seed}
        config = configure(evaluator, trials=24, controller={"name": "random"}, changes=changes)
        path = tmp_path / f"run{seed}"
        setup, run, _ = search(path, config, FakePool(1, 0, noisy))
        run = Run.open(path)
        told = Heard()
        rounds = confirm_best(setup, run, lambda: FakePool(2, 0, noisy), told)
        run.close()
        assert rounds is not None and len(rounds.candidates) == 8 and len(told.messages) >= 8
        first = max(run.trials, key=lambda one: one.reward or 0)
        lucky.append(worth(first.architecture.genes))
        confirmed.append(worth(rounds.winner.trial.architecture.genes))
        counts = {len(one.accuracies) for one in rounds.candidates}
        assert len(rounds.winner.accuracies) == max(counts) >= min(counts) == 1  # the beaten are left alone
        assert rounds.noise is None or rounds.noise.std < 0.01
    assert np.mean(confirmed) > np.mean(lucky) + 0.005


def test_rounds_go_on_after_a_kill_and_decide_the_baseline(tmp_path: Path, evaluator: str) -> None:
    changes = {"fidelity.method": "full", "confirm.candidates": 3, "confirm.epochs": 27}
    config = configure(evaluator, trials=16, changes=changes)
    setup, _, _ = search(tmp_path / "run", config, FakePool(1, 0, noisy))
    run = Run.open(tmp_path / "run")
    with pytest.raises(Killed):
        confirm_best(setup, run, lambda: FakePool(1, 0, noisy, alive=5), SILENT)
    done = len(run.rows("confirm.jsonl"))
    assert 0 < done < 6
    with (tmp_path / "run" / "confirm.jsonl").open("a") as file:
        file.write('{"number"')
    pool = FakePool(1, 0, noisy)
    baseline = conclude(setup, run, lambda: pool)
    rows = run.rows("confirm.jsonl")
    assert len({(row["number"], row["round"]) for row in rows}) == len(rows) > done
    assert baseline is not None and baseline.confirmation is not None
    assert baseline.trial.number == baseline.confirmation.winner.trial.number
    result = run.read("result.json")
    assert result["number"] == baseline.trial.number
    assert result["confirmed"]["candidates"][0]["number"] == baseline.trial.number
    again = conclude(setup, run, lambda: FakePool(1, 0, noisy, alive=0))  # all is known: nothing is trained
    run.close()
    assert again is not None and again.confirmation == baseline.confirmation


def test_even_one_candidate_and_its_rival_are_trained_until_chance_is_known(tmp_path: Path, evaluator: str) -> None:
    changes = {"fidelity.method": "full", "confirm.candidates": 1, "confirm.epochs": 27}
    setup, run, _ = search(tmp_path / "run", configure(evaluator, trials=6, changes=changes), FakePool(1, 0, noisy))
    run = Run.open(tmp_path / "run")
    rounds = confirm_best(setup, run, lambda: FakePool(1, 0, noisy), SILENT)
    run.close()
    assert rounds is not None and [len(one.accuracies) >= 2 for one in rounds.candidates] == [True, True]
    assert rounds.noise is not None


def test_candidates_of_a_run_that_is_extended_stay_candidates(tmp_path: Path, evaluator: str) -> None:
    changes = {"fidelity.method": "full", "confirm.candidates": 2, "confirm.epochs": 27}
    setup, run, _ = search(tmp_path / "run", configure(evaluator, trials=8, changes=changes), FakePool(1, 0, noisy))
    run = Run.open(tmp_path / "run")
    before = confirm_best(setup, run, lambda: FakePool(1, 0, noisy), SILENT)
    run.close()
    longer = configure(evaluator, trials=20, changes=changes)
    setup, run, _ = search(tmp_path / "run", longer, FakePool(1, 0, noisy))
    run = Run.open(tmp_path / "run")
    after = confirm_best(setup, run, lambda: FakePool(1, 0, noisy), SILENT)
    run.close()
    assert before is not None and after is not None
    assert {one.trial.number for one in before.candidates} <= {one.trial.number for one in after.candidates}
    assert after.winner.reward >= before.winner.reward - 0.01


@pytest.mark.parametrize("alive", [2, 5, 7, 9, 11])
def test_a_kill_within_a_round_changes_no_winner(tmp_path: Path, evaluator: str, alive: int) -> None:
    changes = {"fidelity.method": "full", "confirm.candidates": 3, "confirm.epochs": 2}

    def close(job: Job) -> Evaluation:
        """Candidates that several rounds are needed for."""
        noise = np.random.default_rng(job.seed).normal() * 0.02
        return Evaluation(job.architecture, "ok", {"accuracy": 0.8 + 0.001 * (job.number % 5) + noise}, 1.0)

    setup, run, _ = search(tmp_path / "run", configure(evaluator, trials=16, changes=changes), FakePool(1, 0, close))
    whole_path, cut_path = tmp_path / "whole", tmp_path / "cut"
    for path in (whole_path, cut_path):
        shutil.copytree(tmp_path / "run", path)
    run = Run.open(whole_path)
    whole = confirm_best(setup, run, lambda: FakePool(2, 0, close), SILENT)
    run.close()
    run = Run.open(cut_path)
    pool = FakePool(2, 1, close, alive=alive)
    with contextlib.suppress(Killed):
        confirm_best(setup, run, lambda: pool, SILENT)
    before = confirm_best(setup, run, None, SILENT)  # as after Ctrl-C
    later = FakePool(2, 2, close)
    assert confirm_best(setup, run, lambda: later, SILENT) == whole
    run.close()
    assert whole is not None and (before is None or before.winner.accuracies)


def test_a_pruned_trial_may_win_the_rounds_and_is_shown_with_its_confirmed_reward(
    tmp_path: Path, evaluator: str
) -> None:
    config = configure(evaluator, trials=12, changes={"confirm.candidates": 6})
    setup, run, _ = search(tmp_path / "run", config, FakePool(1, 0, learning))
    run = Run.open(tmp_path / "run")
    pruned = next(trial.number for trial in run.trials if trial.status == "pruned")

    def upset(job: Job) -> Evaluation:
        accuracy = 0.95 if job.number == pruned else 0.3
        return Evaluation(job.architecture, "ok", {"accuracy": accuracy + 1e-4 * (job.seed % 7)}, 1.0)

    baseline = conclude(setup, run, lambda: FakePool(1, 0, upset))
    assert baseline is not None and baseline.trial.number == pruned and baseline.reward > 0.9
    console = Console(width=200, record=True, file=io.StringIO())
    print_baseline(baseline, run, console)
    run.close()
    assert f"Reward          {baseline.reward:.4f}, of the confirming trainings" in console.export_text()
    result = run.read("result.json")
    assert result["reward"] == baseline.reward and result["accuracy"] > 0.9


def test_candidates_that_cannot_be_trained_again_are_no_winners(tmp_path: Path, evaluator: str) -> None:
    config = configure(evaluator, trials=8, changes={"fidelity.method": "full", "confirm.candidates": 2})
    setup, _, _ = search(tmp_path / "run", config, FakePool(1, 0, learning))
    run = Run.open(tmp_path / "run")
    best = max(run.trials, key=lambda one: one.reward or 0).number

    def breaks(job: Job) -> Evaluation:
        if job.number == best:
            return Evaluation(job.architecture, "failed", {}, 1.0, "out of memory", "out_of_memory")
        return noisy(job)

    rounds = confirm_best(setup, run, lambda: FakePool(1, 0, breaks), SILENT)
    run.close()
    assert rounds is not None and best not in [one.trial.number for one in rounds.candidates]
