"""Mutated inputs are taken, or refused in one message: no traceback, nothing that hangs, no endless message."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.fuzzer import KINDS, fuzz

LONGEST = 2000  # characters


@pytest.mark.parametrize("kind", KINDS)
def test_some_mutated_inputs(kind: str, tmp_path: Path) -> None:
    tally = fuzz(kind, 25, tmp_path)
    assert not tally.tracebacks and not tally.hangs and len(tally.longest) <= LONGEST, tally


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_many_mutated_inputs(kind: str, tmp_path: Path) -> None:
    tally = fuzz(kind, 2000, tmp_path)
    assert tally.cases == 2000 and not tally.tracebacks and not tally.hangs, tally
    assert len(tally.longest) <= LONGEST, tally.longest
