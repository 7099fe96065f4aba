"""Shells complete commands, names and paths."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.toys import run_nas


@pytest.mark.parametrize(
    ("words", "place", "expected"),
    [
        ("nas se", 1, ["search", "sensitivity"]),
        ("nas search --space mo", 3, ["mobilenet_v3", "more/"]),
        ("nas show mobilenet_v", 2, ["mobilenet_v1", "mobilenet_v2", "mobilenet_v3_large", "mobilenet_v3_small"]),
        ("nas search --preset e", 3, ["edge-int8"]),
        ("nas train efficientnet_b0 --recipe t", 4, ["transfer"]),
        ("nas search --config d", 3, ["default", "digits"]),
    ],
)
def test_completion(words: str, place: int, expected: list[str], tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    asked = run_nas(cwd=tmp_path, COMP_WORDS=words, COMP_CWORD=str(place), _NAS_COMPLETE="complete_bash")
    assert asked.stdout.split() == expected
