"""Depth, width, resolution, compound: equal MACs, equal trainings, and the paper's tables."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nas.cli.app import app
from nas.core.errors import InputError
from nas.evaluate.cost.exact import network_cost
from nas.evaluate.data.settings import DataSettings
from nas.evaluate.workers.pool import WorkerPool
from nas.scale.compound import Rule, Scaling, scale
from nas.scale.find_network import find_network
from nas.search_spaces.network import Network
from nas.search_spaces.yaml_format import network_to_yaml
from nas.studies.paper_tables import PAPER_ROWS
from nas.studies.scaling_study import DIMENSIONS, draw_study, make_members, run_study
from tests.toys import Heard


@pytest.mark.parametrize("name", ["efficientnet_b0", "mobilenet_v1", "mobilenet_v2", "resnet50"])
def test_members_cost_the_same_and_differ_in_one_dimension(name: str) -> None:
    baseline = find_network(name)
    first, *members = make_members(baseline, [2, 4], Rule())
    assert first.network == baseline and [one.dimension for one in members] == [*DIMENSIONS, *DIMENSIONS]
    for one in members:
        assert one.macs == pytest.approx(one.budget * first.macs, rel=0.08)
        changed = {
            "depth": one.scaling.depth != 1,
            "width": one.scaling.width != 1,
            "resolution": one.network.resolution != baseline.resolution,
        }
        wanted = set(changed) if one.dimension == "compound" else {one.dimension}
        assert {key for key, value in changed.items() if value} == wanted


@pytest.mark.parametrize("budgets", [[], [1], [0.5], [2, 2]])
def test_budgets_that_are_none(budgets: list[float]) -> None:
    with pytest.raises(InputError, match="--budgets"):
        make_members(find_network("efficientnet_b0"), budgets, Rule())


@pytest.mark.parametrize("row", PAPER_ROWS, ids=lambda row: f"{row.network} {row.label}")
def test_the_papers_flops_are_ours_or_a_reason_is_given(row: object) -> None:
    from nas.studies.paper_tables import PaperRow

    assert isinstance(row, PaperRow)
    assert round(row.macs() / 1e9, 1) == row.billions or row.note


@pytest.mark.parametrize(
    ("name", "depth", "width", "side", "billions"),
    [
        ("mobilenet_v1", 1.4, 1.2, 288, 2.243),
        ("mobilenet_v2", 1.4, 1.2, 288, 1.284),
        ("resnet50", 1, 1.91, 224, 14.7),
        ("resnet50", 1.4, 1.2, 300, 16.5),
        ("efficientnet_b0", 4.01, 1, 224, 1.76),
        ("efficientnet_b0", 4.5, 1, 224, 1.83),
        ("efficientnet_b0", 1, 2.19, 224, 1.75),
        ("efficientnet_b0", 1, 2.24, 224, 1.84),
        ("efficientnet_b0", 1, 1, 493, 1.92),
    ],
)
def test_what_the_notes_say(name: str, depth: float, width: float, side: int, billions: float) -> None:
    digits = len(str(billions).partition(".")[2])
    macs = network_cost(scale(find_network(name), Scaling("x", width, depth, side))).macs
    assert round(macs / 1e9, digits) == billions


def test_the_papers_rows_as_measured_elsewhere() -> None:
    """Facts that other counters of the same rules found, in billions."""
    known = {("mobilenet_v1", "w=2"): 2.217, ("mobilenet_v2", "d=4"): 1.220, ("resnet50", "d=4"): 14.571}
    known |= {("resnet50", "w=2"): 16.117, ("efficientnet_b0", "d=4"): 1.575, ("efficientnet_b0", "w=2"): 1.450}
    known |= {("efficientnet_b0", "r=2"): 1.538, ("efficientnet_b0", "d=1.4 w=1.2 r=1.3"): 1.800}
    found = {(row.network, row.label): row.macs() / 1e9 for row in PAPER_ROWS}
    assert {key: found[key] for key in known} == pytest.approx(known, abs=6e-4)


def test_trained_alike_and_gone_on_with(tmp_path: Path, tiny_network: Network) -> None:
    from nas.evaluate.data.load import load_data
    from nas.evaluate.proxy.settings import ProxySettings
    from nas.evaluate.recipe import EvaluatorRecipe
    from nas.evaluate.workers.jobs import open_pool
    from nas.evaluate.workers.settings import WorkerSettings

    members = make_members(tiny_network, [2], Rule())
    settings = ProxySettings(epochs=1, batch_size=64, reference_resolution=16, resolution=16)
    images = load_data(DataSettings(source="digits", resolution=16, fraction=0.3))
    told = Heard()
    with open_pool(EvaluatorRecipe(settings), lambda: images, WorkerSettings(), 0) as pool:
        study = run_study(members, 2, 0, tmp_path, "a", pool, callback=told)
    assert len(told.messages) == 10 and all(len(own) == 2 for own in study.accuracies) and study.noise is not None
    lines = (tmp_path / "study.jsonl").read_text().splitlines()
    (tmp_path / "study.jsonl").write_text("\n".join(lines[:4]) + "\n" + lines[4][:20])
    told.messages.clear()
    with open_pool(EvaluatorRecipe(settings), lambda: images, WorkerSettings(), 0) as pool:
        again = run_study(members, 2, 0, tmp_path, "a", pool, callback=told)
    assert len(told.messages) == 6 and again.accuracies == study.accuracies

    def nothing() -> WorkerPool:
        raise AssertionError("everything is trained")

    assert run_study(members, 2, 0, tmp_path, "a", nothing).accuracies == study.accuracies
    with pytest.raises(AssertionError, match="everything"):
        run_study(members, 2, 0, tmp_path, "b", nothing)
    draw_study(study, tmp_path / "study.svg")
    assert "compound" in (tmp_path / "study.svg").read_text()


def test_the_command_keeps_to_the_workers_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_network: Network
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text(network_to_yaml(tiny_network))
    flags = ["--data", "digits", "--budgets", "2", "--workers", "0", "--seeds", "1", "--out", "study"]
    flags += ["--set", "workers.trial_timeout=0.001", "--set", "data.resolution=16"]
    CliRunner().invoke(app, ["scale-study", "small.yaml", *flags])
    rows = [json.loads(line) for line in Path("study/study.jsonl").read_text().splitlines()]
    assert len(rows) == 5 and all("time" in row["error"] for row in rows)
    unreachable = ["--set", "workers.address=127.0.0.1:1", "--workers", "1", "--out", "other"]
    result = CliRunner().invoke(app, ["scale-study", "small.yaml", *flags, *unreachable])
    assert result.exit_code != 0 and "127.0.0.1:1" in result.output


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_network: Network) -> None:
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text(network_to_yaml(tiny_network))
    paper = json.loads(CliRunner().invoke(app, ["scale-study", "--json"]).stdout)
    assert len(paper) == len(PAPER_ROWS) == 19
    shown = CliRunner().invoke(app, ["scale-study", "resnet50"]).stdout
    assert "compound x4" in shown and "not reproduced; w=1.91" in shown
    flags = ["--data", "digits", "--budgets", "2", "--seeds", "2", "--workers", "0", "--out", "study"]
    quick = ["--set", "evaluator.epochs=1", "--set", "data.fraction=0.2", "--set", "data.resolution=16"]
    shown = CliRunner().invoke(app, ["scale-study", "small.yaml", *flags, *quick]).stdout
    assert "compound x2" in shown and "are not significant" in shown
    report = json.loads(Path("study/study.json").read_text())
    assert [row["dimension"] for row in report["rows"]] == ["baseline", *DIMENSIONS] and report["noise"] is not None
    assert Path("study/study.png").stat().st_size > 10_000
    again = CliRunner().invoke(app, ["scale-study", "small.yaml", *flags, *quick, "--json"])
    assert json.loads(again.stdout) == report
