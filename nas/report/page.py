"""Writes the ``report.html`` of a run directory, and its charts as separate files."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from nas.core.callback import Callback
from nas.core.figures import write_figure
from nas.core.files import cannot_write, write_whole
from nas.core.program import program
from nas.core.records import Trial
from nas.core.version import package_version
from nas.report.chart import report_style
from nas.report.content import make_page
from nas.report.facts import Facts
from nas.report.layout import Page

FILE, PICTURES = "report.html", "pictures"
FORMATS = (".svg", ".png")


def write_report(path: Path, to: Path | None = None, pictures: bool = False, against: Path | None = None) -> list[Path]:
    """Write the report of a run directory; return the files.

    Args:
        path: the run's directory, which another process may be writing to.
        to: path of the page; by default ``report.html`` in the run's directory.
        pictures: whether to also write each chart as SVG and PNG, into the folder ``pictures`` beside the page.
        against: directory of another run, whose best reward is drawn for comparison.

    Raises:
        InputError: if ``path`` is not a run directory, or no trial has ended.
        WorkError: if the files cannot be written.
    """
    facts = Facts.read(path)
    target = to or path / FILE
    with report_style():
        page = make_page(facts, package_version(), None if against is None else Facts.read(against))
        return write_page(page, facts.trials, target, pictures)


def write_page(page: Page, trials: Sequence[Trial], target: Path, pictures: bool = False) -> list[Path]:
    """Write a page, inside ``report_style``; return the files.

    Args:
        page: the page.
        trials: the trials behind the marks of its charts.
        target: path of the page.
        pictures: whether to also write each chart as SVG and PNG.

    Raises:
        WorkError: if the files cannot be written.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, _render(page, trials))
        files = [target]
        if pictures:
            folder = target.parent / PICTURES
            folder.mkdir(exist_ok=True)
            for chart in page.charts:
                for suffix in FORMATS:
                    write_figure(folder / f"{chart.name}{suffix}", chart.figure)
                    files.append(folder / f"{chart.name}{suffix}")
    except OSError as error:
        raise cannot_write(target, error) from None
    return files


def _render(page: Page, trials: Sequence[Trial]) -> str:
    """Return the page as one HTML document that needs no other file."""
    from jinja2 import Environment, PackageLoader

    environment = Environment(
        loader=PackageLoader("nas.report", "."), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    files = resources.files("nas.report")
    return environment.get_template("page.html.jinja").render(
        page=page,
        css=files.joinpath("page.css").read_text(encoding="utf-8"),
        js=files.joinpath("page.js").read_text(encoding="utf-8"),
        trials=trials_json(trials),
    )


def trials_json(trials: Sequence[Trial]) -> str:
    """Return the trials' data for the page's tooltips, as JSON that is safe inside HTML.

    ``decisions`` are the names of the decisions, and ``values`` the options of each decision. A trial is a list of its
    number, accuracy, MACs, params, reward, and the index of each choice among the decision's options.
    """
    decisions = list(dict.fromkeys(name for trial in trials for name in trial.choices))
    texts = [[str(trial.choices.get(name, "")) for name in decisions] for trial in trials]
    values = [list(dict.fromkeys(row[place] for row in texts)) for place in range(len(decisions))]
    index = [{value: place for place, value in enumerate(options)} for options in values]
    rows = [
        [
            trial.number,
            trial.metrics.get("accuracy"),
            trial.metrics.get("macs"),
            trial.metrics.get("params"),
            trial.reward,
            [index[place][value] for place, value in enumerate(own)],
        ]
        for trial, own in zip(trials, texts, strict=True)
    ]
    data = json.dumps({"decisions": decisions, "values": values, "trials": rows}, separators=(",", ":"))
    return data.replace("<", "\\u003c")


def draw_report(run: Path, callback: Callback) -> list[Path]:
    """Write a run's page and return its files.

    If this fails, warn and return an empty list, because the run itself is not affected.
    """
    try:
        return write_report(run)
    except Exception as error:
        again = f"{program()} report {shlex.quote(str(run))}"
        callback.warning(f"{run / FILE} could not be drawn ({error}); the run is not affected. To draw it: {again}")
        return []
