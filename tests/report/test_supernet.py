"""The page's section on a supernet: its curves, its networks, and how far its ranking can be trusted."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from nas.report.chart import report_style
from nas.report.supernet import supernet_section

HISTORY = "epoch,largest_top1,random_top1,smallest_top1,seconds\n1,0.5,0.3,0.4,60\n2,0.7,0.5,0.6,120\n"
ONE = {"macs": 8_000_000, "params": 120_000, "validation": {"top1": 0.7}, "test": {"top1": 0.69}}
INTERVAL = {"tau_low": -0.1, "tau_high": 0.6}


def facts(folder: Path | str, has_supernet: bool = True) -> Any:
    config = SimpleNamespace(evaluator_options={"supernet": str(folder)}, has_supernet=has_supernet)
    return SimpleNamespace(config=config)


def test_it_shows_the_curves_the_networks_and_the_trust(tmp_path: Path) -> None:
    (tmp_path / "history.csv").write_text(HISTORY)
    (tmp_path / "result.json").write_text(json.dumps({"shared_params": 800_000, "networks": {"largest": ONE}}))
    with report_style():
        section = supernet_section(facts(tmp_path))
    assert section is not None and len(section.charts) == 1
    assert "800.0K shared params" in section.text[0] and "2 epochs in 2 min" in section.text[0]
    assert "has not been measured" in section.text[1]
    assert section.tables[0].rows == [("largest", "8,000,000", "120,000", "70.00%", "69.00%")]
    trust = {"tau": 0.5, "epochs": 4, "longer_epochs": 20, **INTERVAL, "supernet": {"tau": 0.25, **INTERVAL}}
    (tmp_path / "trust.json").write_text(json.dumps(trust))
    with report_style():
        told = supernet_section(facts(tmp_path))
    assert told is not None
    assert "0.25 (-0.10 to 0.60); that of trainings of 4 epochs is 0.50" in told.text[1]
    assert told == replace(section, text=told.text, charts=told.charts)


def test_there_is_none_without_a_supernet(tmp_path: Path) -> None:
    assert supernet_section(facts(tmp_path, has_supernet=False)) is None
    assert supernet_section(facts(tmp_path / "gone")) is None
    section = supernet_section(facts(tmp_path))
    assert section is not None and not section.charts and not section.tables
