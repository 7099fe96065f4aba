"""The page holds what the run holds, is whole in one file, and takes nothing for markup."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from nas.core.errors import InputError
from nas.report.content import make_page
from nas.report.facts import Facts
from nas.report.page import trials_json, write_report
from nas.report.tower import bars, tower_chart
from nas.search.run_directory import read_trials
from nas.search_spaces.catalogue import reference_network
from tests.report.conftest import invoke


def test_a_search_ends_with_its_page(predicted_run: Path) -> None:
    page = (predicted_run / "report.html").read_text()
    result = json.loads((predicted_run / "result.json").read_text())
    assert f"{result['macs']:,}" in page and f"{result['params']:,}" in page
    for title in ("Budget and result", "The baseline", "The search", "Which choices matter",
                  "How far to trust these figures", "The family after scaling", "To repeat this run"):  # fmt: skip
        assert f">{title}</h2>" in page
    for name in ("front", "stages", "progress", "choices", "effects", "family"):
        assert f'id="figure-{name}"' in page
    for text in ("efficientnet_b0", "mobilenet_v2", "mobilenet_v3_large", "mnasnet_a1", "random search"):
        assert text in page
    assert "nas search --config" in page and "seed: 0" in page and "target_flops: 400000000.0" in page


def test_the_page_needs_no_network_and_no_other_file(predicted_run: Path) -> None:
    page = (predicted_run / "report.html").read_text()
    loads = re.findall(r'(?:src|href)\s*=\s*"([^"]+)"', page) + re.findall(r"url\(([^)]+)\)", page)
    assert all(one.startswith(("#", "data:")) for one in loads)
    identifiers = re.findall(r'\sid="([^"]+)"', page)
    assert len(identifiers) == len(set(identifiers))


def test_the_pointer_is_told_the_journal(predicted_run: Path) -> None:
    trials = read_trials(predicted_run)
    data = json.loads(trials_json(trials))
    assert len(data["trials"]) == len(trials) == 120
    for row, trial in zip(data["trials"], trials, strict=True):
        number, accuracy, macs, params, reward, genes = row
        assert (number, accuracy, macs) == (trial.number, trial.metrics["accuracy"], trial.metrics["macs"])
        assert (params, reward) == (trial.metrics["params"], trial.reward)
        chosen = {
            name: data["values"][place][gene]
            for place, (name, gene) in enumerate(zip(data["decisions"], genes, strict=True))
        }
        assert chosen == {name: str(value) for name, value in trial.choices.items()}


def test_every_mark_has_a_trial(predicted_run: Path) -> None:
    """A pointer finds a mark's trial by its place among the marks, so there have to be as many."""
    page = (predicted_run / "report.html").read_text()
    chart = next(one for one in make_page(Facts.read(predicted_run), "0").charts if one.name == "front")
    for group, places in chart.points.items():
        inner = page.split(f'id="front-{group}"')[1].split('<g id="front-')[0]
        assert inner.count("<use ") == len(places) > 0


def test_failures_are_told_by_reason_and_escaped(failing_run: Path) -> None:
    page = (failing_run / "report.html").read_text()
    failed = [trial for trial in read_trials(failing_run) if trial.status == "failed"]
    assert len(failed) > 1
    assert "<script>alert" not in page
    section = page.split("Failures by reason</caption>")[1].split("</table>")[0]
    assert section.count("<tr>") == 2  # one heading, one reason
    assert "&lt;script&gt;alert(N)" in section and f'<td class="number">{len(failed)}</td>' in section


def test_pictures_are_written_as_files(failing_run: Path, tmp_path: Path) -> None:
    output = invoke("report", str(failing_run), "--out", str(tmp_path / "page"), "--pictures")
    names = sorted(path.name for path in (tmp_path / "page" / "pictures").iterdir())
    assert {"front.svg", "front.png", "progress.svg", "choices.png"} <= set(names)
    assert all(f"page/pictures/{name}" in output for name in names)
    assert (tmp_path / "page" / "pictures" / "front.png").read_bytes().startswith(b"\x89PNG")


def test_a_run_that_has_not_ended_has_a_page_too(failing_run: Path, tmp_path: Path) -> None:
    run = tmp_path / "going-on"
    run.mkdir()
    shutil.copy(failing_run / "config.yaml", run)
    lines = (failing_run / "trials.jsonl").read_text().splitlines(keepends=True)
    (run / "trials.jsonl").write_text("".join(lines[:7]) + lines[7][:20])
    (page,) = write_report(run)
    assert "has not finished" in page.read_text()
    assert (run / "trials.jsonl").read_text().endswith(lines[7][:20])  # another process may be writing it
    (run / "trials.jsonl").write_text("")
    with pytest.raises(InputError, match="no finished trial"):
        write_report(run)


def test_a_page_that_cannot_be_drawn_takes_nothing_from_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nas.report.page.make_page", lambda *_: 1 / 0)
    output = invoke("search", "--target-flops", "400M", "--trials", "5", "--out", str(tmp_path / "run"))
    assert "warning: " in output and "report.html could not be drawn (division by zero)" in output
    assert (tmp_path / "run" / "result.json").exists() and not (tmp_path / "run" / "report.html").exists()


def test_an_earlier_legs_result_is_not_told_of_a_run_that_has_gone_on(predicted_run: Path, tmp_path: Path) -> None:
    run = tmp_path / "on"
    shutil.copytree(predicted_run, run)
    lines = (run / "trials.jsonl").read_text().splitlines(keepends=True)
    (run / "trials.jsonl").write_text("".join(lines[:60]))  # the result is of 120
    facts = Facts.read(run)
    assert facts.result is None and facts.network is None and not facts.has_ended
    best = max((trial for trial in facts.succeeded), key=lambda trial: trial.reward or 0)
    assert facts.best == best and facts.decoded is not None and facts.decoded.resolution == 224
    assert "has not finished" in write_report(run)[0].read_text()
    result = json.loads((predicted_run / "result.json").read_text())
    assert result["ended"] and Facts.read(predicted_run).has_ended


def test_names_are_no_formulas_and_metrics_may_be_missing(failing_run: Path, tmp_path: Path) -> None:
    run = tmp_path / "$odd_{name$"
    shutil.copytree(failing_run, run)
    rows = [json.loads(line) for line in (run / "trials.jsonl").read_text().splitlines()]
    for row in rows:
        row["choices"] = {r"stage1.$\foo$": r"$\frac$", **row["choices"]}
    next(row for row in rows if row["status"] == "ok")["metrics"]["latency_ms"] = 3.0
    (run / "trials.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    page = write_report(run)[0].read_text()
    assert r"$\foo$" in page


def test_a_search_whose_first_trials_failed_has_a_page(failing_run: Path, tmp_path: Path) -> None:
    run = tmp_path / "late"
    shutil.copytree(failing_run, run)
    rows = [json.loads(line) for line in (run / "trials.jsonl").read_text().splitlines()]
    good = next(row for row in rows if row["status"] == "ok")
    bad = next(row for row in rows if row["status"] == "failed")
    many = [{**(bad if number < 10 else good), "number": number} for number in range(210)]
    (run / "trials.jsonl").write_text("".join(json.dumps(row) + "\n" for row in many))
    assert "figure-progress" in write_report(run)[0].read_text()
    (run / "trials.jsonl").write_text("".join(json.dumps({**bad, "number": number}) + "\n" for number in range(5)))
    assert "none of which succeeded" in write_report(run)[0].read_text()


def test_both_towers_are_drawn_to_one_scale() -> None:
    chart = tower_chart(reference_network("mnasnet_a1"))
    assert chart is not None
    left, right = chart.figure.axes
    assert left.get_ylim() == right.get_ylim() and left.get_xlim() == right.get_xlim()
    for axes, name in ((left, "mnasnet_a1"), (right, "efficientnet_b0")):
        drawn = [(patch.get_width(), patch.get_height()) for patch in axes.patches]
        assert drawn == [(bar.channels, bar.size) for bar in bars(reference_network(name))]


def test_the_stage_diagram_is_to_scale() -> None:
    column = bars(reference_network("efficientnet_b0"))
    assert len(column) == 16
    assert [bar.channels for bar in column] == [16, *[24] * 2, *[40] * 2, *[80] * 3, *[112] * 3, *[192] * 4, 320]
    assert [bar.size for bar in column] == [112, *[56] * 2, *[28] * 2, *[14] * 6, *[7] * 5]
    assert [bar.kernel for bar in column] == [3, 3, 3, 5, 5, 3, 3, 3, *[5] * 7, 3] and all(
        bar.excited for bar in column
    )
