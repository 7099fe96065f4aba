"""Every example in a docstring runs and gives what it says."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

from tests.toys import ROOT

ROOMS = ("nas", "search_spaces", "controllers", "evaluate")


def modules() -> list[str]:
    found = []
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            inside = path.relative_to(ROOT).with_suffix("").parts
            if ">>> " in path.read_text() and (room != "nas" or not (ROOT / room / inside[1]).is_symlink()):
                found.append(".".join(inside if room == "nas" else ("nas", *inside)))
    return found


@pytest.mark.parametrize("name", modules())
def test_examples(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    flags = doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL
    result = doctest.testmod(importlib.import_module(name), optionflags=flags)
    assert result.attempted > 0 and result.failed == 0


def test_what_people_use_has_examples() -> None:
    assert {"nas.api", "nas.scale.compound", "nas.core.units", "nas.evaluate.objective.reward"} <= set(modules())
