"""The page of ``nas make``: the trained network, its control, and the search that found it, on one page."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from nas.core.documents import read_mapping
from nas.core.errors import InputError
from nas.core.program import program
from nas.core.units import format_duration, format_quantity
from nas.core.version import package_version
from nas.report.chart import report_style
from nas.report.content import make_page
from nas.report.facts import Facts
from nas.report.layout import PageSection, Table
from nas.report.page import FILE, write_page
from nas.report.training import TrainingFacts, training_sections

_PHASES = ("search", "training", "all")


def is_made(path: Path) -> bool:
    """Return whether a path is a folder of ``nas make``."""
    return (path / "make.yaml").is_file()


def write_made_again(path: Path, target: Path | None = None) -> list[Path]:
    """Write the page of a finished folder of ``nas make`` again; return the files.

    Raises:
        InputError: if the work has not ended.
        WorkError: if the page cannot be written.
    """
    result = read_mapping(path / "result.json")
    if "accuracy" not in result:
        raise InputError(
            f"report: '{path}' has not ended; go on with: {program()} make --resume {shlex.quote(str(path))}"
        )
    return [write_make_page(path, path / "search", path / "trained", result, target)]


def write_make_page(
    folder: Path, search: Path, trained: Path, result: Mapping[str, Any], target: Path | None = None
) -> Path:
    """Write the page of a folder of ``nas make``; return its path.

    Args:
        folder: the folder.
        search: the directory of its search.
        trained: the folder of its full training.
        result: the content of its ``result.json``.
        target: path of the page; by default ``report.html`` in the folder.

    Raises:
        WorkError: if the page cannot be written.
    """
    facts, training = Facts.read(search), TrainingFacts.read(trained)
    with report_style():
        searched = make_page(facts, package_version())
        first, more = training_sections(training)[:1], training_sections(training)[1:]
        control = [section for section in searched.sections if section.id == "control"]
        others = [section for section in searched.sections if section.id not in ("control", "family")]
        page = replace(
            searched,
            title=folder.resolve().name,
            kind="A network for your images and your budget",
            lead=_lead(result),
            sections=(
                *first,
                *control,
                *more,
                _time(result),
                *others,
            ),
            cautions=(),
        )
        (path,) = write_page(page, facts.trials, target or folder / FILE)
    return path


def _lead(result: Mapping[str, Any]) -> str:
    low, high = result["interval"]
    where = (
        "found by the search"
        if result["network"] == "search"
        else f"{result['name']}, of the control, because the search found none that was better"
    )
    verdict = ""
    if result["control"] is not None:
        verdict = f" In equal, shorter trainings the search's network is {result['control']['verdict']}."
    return (
        f"{result['accuracy']:.2%} of the {result['test_images']:,} test images (95% interval {low:.1%} to {high:.1%}) "
        f"at {format_quantity(result['macs'])} MACs and {format_quantity(result['params'])} params, "
        f"{result['resolution']} px: {where}.{verdict}"
    )


def _time(result: Mapping[str, Any]) -> PageSection:
    seconds = result["seconds"]
    rows = [(name, format_duration(seconds[name])) for name in _PHASES if seconds.get(name)]
    text = f"{result['trials']} networks were trained in the search; the full training has {result['epochs']} epochs."
    return PageSection("time", "How the time was used", (text,), tables=(Table("Time", ("phase", "time"), rows),))
