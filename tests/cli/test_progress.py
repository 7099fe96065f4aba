"""The screens: calm where there is a terminal, plain lines elsewhere, nothing where it is quiet."""

from __future__ import annotations

import io
import math
import re
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from typer.testing import CliRunner

from nas.cli.app import app
from nas.cli.display.output import plain_table, show_table
from nas.cli.display.progress import SearchProgress
from nas.cli.display.text_plot import text_plot
from nas.cli.display.training_progress import TrainingProgress
from nas.core.records import Architecture, Status, Trial
from nas.evaluate.objective.pareto import hypervolume
from nas.search.callback import SearchState
from nas.search.tally import Tally
from nas.search.time_budget import TimeAccount, TimeBudget
from tests.toys import run_nas

FLOATS = st.floats(-1e9, 1e9, allow_subnormal=False)


def trial(number: int, accuracy: float, macs: float = 3e8, status: Status = "ok") -> Trial:
    metrics = {"accuracy": accuracy, "macs": macs, "params": 4e6, "epochs": 2}
    reward = accuracy if status == "ok" else None
    error = "no luck" if status == "failed" else None
    return Trial(number, Architecture("toy", (number,)), status, metrics, reward, 36.0, error)


def screen(progress: SearchProgress | TrainingProgress, console: Console) -> str:
    with console.capture() as captured:
        console.print(progress._render())
    return captured.get()


def show(progress: SearchProgress, one: Trial) -> None:
    progress.tally.add(one)
    progress.finished(one)


def terminal(height: int = 40, encoding: str = "utf-8") -> Console:
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    return Console(file=file, force_terminal=True, width=100, height=height, color_system=None)


def test_the_screen_says_how_the_search_stands() -> None:
    console = terminal()
    before = [trial(0, 0.5), trial(1, 0.6, 3.5e8), trial(2, 0.4, status="failed"), trial(3, 0.3, status="pruned")]
    time_account = TimeAccount(TimeBudget.parse("2gpuh"), 0.5)
    progress = SearchProgress(
        console, SearchState(20, Tally(before, 4e8), time_account=time_account, gpus_per_worker=0.5)
    )
    progress.running = 3
    assert "4/20 done, 3 running, 1 failed, 1 pruned" in screen(progress, console)
    for number, accuracy in enumerate((0.55, 0.62, 0.58), start=4):
        show(progress, trial(number, accuracy))
    shown = screen(progress, console)
    assert "7/20 done" in shown and "accuracy 62.0%" in shown and "reward 0.6200" in shown
    assert "Front    1 network, hypervolume" in shown  # 62% at the fewest MACs beats all
    assert "GPU-hours spent, " in shown and "GPU-hours left" in shown and "trials/h" in shown
    assert "●" in shown and "62.0% │" in shown and "350.0M MACs" in shown
    assert all(len(line.rstrip()) <= 100 for line in shown.splitlines())


def test_small_and_plain_terminals() -> None:
    tally = Tally([trial(number, 0.5 + number / 100) for number in range(9)])
    low = terminal(height=12)
    assert "│" not in screen(SearchProgress(low, SearchState(20, tally)), low)
    plain = terminal(encoding="ascii")
    shown = screen(SearchProgress(plain, SearchState(20, tally)), plain)
    assert "*" in shown and "●" not in shown and "│" not in shown


def test_lines_where_there_is_no_terminal() -> None:
    file = io.StringIO()
    console = Console(file=file, width=200)
    with SearchProgress(console, SearchState(3, Tally([]))) as progress:
        for number, accuracy in enumerate((0.5, 0.4, 0.6)):
            show(progress, trial(number, accuracy))
    lines = file.getvalue().splitlines()
    assert len(lines) == 3 and ["[best]" in line for line in lines] == [True, False, True]
    assert "(2/3; " in lines[1] and "\x1b" not in file.getvalue()


def test_a_training_shows_its_best_and_its_curve() -> None:
    console = terminal()
    rows = [{"epoch": n, "raw_top1": 0.1 * n, "raw_top5": 0.9, "loss": 1.0, "learning_rate": 0.1} for n in range(1, 7)]
    progress = TrainingProgress(console, 10, [{key: str(value) for key, value in row.items()} for row in rows[:5]])
    progress.step_finished(5, 3, 10, 0.7, 812.0)
    assert "epoch 6/10" in screen(progress, console) and "812 images/s" in screen(progress, console)
    progress.epoch_finished(rows[5])
    shown = screen(progress, console)
    assert "Best     top-1 60.00% on validation, in epoch 6" in shown and "epoch 1" in shown and "●" in shown


def test_a_training_shows_the_best_of_the_metric_that_it_maximises() -> None:
    console = terminal()
    same = {"raw_top5": 1, "loss": 1, "learning_rate": 1}
    rows = [{"epoch": n, "raw_top1": 0.5 + n / 10, "raw_macro_f1": 0.6 - n / 10, **same} for n in (1, 2)]
    progress = TrainingProgress(console, 10, rows[:1], "macro_f1")
    with console.capture() as captured:
        progress.epoch_finished(rows[1])
    assert "macro f1 40.00%" in captured.get()
    assert "Best     macro f1 50.00% on validation, in epoch 1" in screen(progress, console)


@given(
    st.lists(st.tuples(FLOATS, FLOATS), max_size=30),
    st.lists(st.tuples(FLOATS, FLOATS), max_size=5),
    st.integers(20, 90),
    st.integers(1, 9),
)
def test_a_plot_fits_its_box(
    points: list[tuple[float, float]], marked: list[tuple[float, float]], width: int, height: int
) -> None:
    lines = text_plot(points, marked, width, height, lambda x: "x", lambda y: "y")
    assert len(lines) == (height + 2 if points or marked else 0)
    assert all(len(line) <= width for line in lines)
    assert any("●" in line for line in lines) == bool(marked)


def test_a_plot_puts_points_where_they_belong() -> None:
    lines = text_plot([(0, 0), (10, 10)], [(10, 0)], 24, 3, lambda x: f"{x:g}", lambda y: f"{y:g}")
    assert lines == [
        "10 │                   ·",
        "   │                    ",
        " 0 │·                  ●",
        "   └" + "─" * 20,
        "    0                 10",
    ]


def test_the_tally_counts_and_finds_the_front() -> None:
    tally = Tally([], 4e8)
    assert tally.add(trial(0, 0.5)) and not tally.add(trial(1, 0.4)) and tally.add(trial(2, 0.6, 4e8))
    assert not tally.add(trial(3, 0.9, status="failed"))
    assert [one.number for one in tally.front] == [2, 0] and tally.failed == 1 and tally.seconds == 4 * 36
    assert tally.volume is not None
    assert math.isclose(tally.volume, 0.5 * 0.25)  # over the last quarter; the other lies at the edge
    assert hypervolume([], 1.0) == 0.0
    rows = [{"accuracy": 0.5, "macs": 50}, {"accuracy": 0.8, "macs": 80}]
    assert math.isclose(hypervolume(rows, 100), 0.5 * 0.5 + 0.3 * 0.2)


def test_the_front_is_right_while_the_screen_asks_for_it() -> None:
    tally, over = Tally([], 4e8), threading.Event()

    def ask() -> None:
        while not over.is_set():
            _ = tally.front

    screen_thread = threading.Thread(target=ask)
    screen_thread.start()
    for number in range(3000):  # each costs more and reaches more: all are on the front
        tally.add(trial(number, 0.5 + number / 10_000, 1e8 + 1e4 * number))
    over.set()
    screen_thread.join()
    assert len(tally.front) == 3000


def test_narrow_terminals_lose_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    console = Console(file=io.StringIO(), force_terminal=True, width=60, color_system=None)
    table = plain_table("name", "a long heading", "another long heading", right=("a long heading",))
    table.add_row("efficientnet_b0_phi1", "123,456,789,012", "and some words that are long")
    show_table(console, table)
    assert isinstance(console.file, io.StringIO)
    shown = " ".join(console.file.getvalue().split())
    assert "efficientnet_b0_phi1: a long heading 123,456,789,012, another long heading and some words" in shown
    assert "…" not in shown


@pytest.mark.parametrize("command", ["search", "scale"])
def test_quiet_commands_print_nothing_but_errors(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = {
        "search": ["--target-flops", "400M", "--trials", "3", "--no-report"],
        "scale": ["efficientnet_b0", "--phi", "1", "--out", "family"],
    }[command]
    result = CliRunner().invoke(app, [command, *arguments, "--quiet"])
    assert result.exit_code == 0 and result.output == ""
    wrong = CliRunner().invoke(app, [command, *arguments, "--quiet", "--set", "nonsense"])
    assert wrong.exit_code == 2 and "error:" in wrong.output
    loud = CliRunner().invoke(app, ["scale", "efficientnet_b0", "--phi", "1"])
    assert "efficientnet_b0_phi1" in loud.output  # quiet is of one command alone


def test_no_colour_where_nobody_wants_any(tmp_path: Path) -> None:
    result = run_nas("search", "--help", cwd=tmp_path, NO_COLOR="1", FORCE_COLOR="1")
    assert re.search(r"\x1b\[[349][0-7]", result.stdout) is None
    assert "--target-flops" in re.sub(r"\x1b\[[0-9;]*m", "", result.stdout)
