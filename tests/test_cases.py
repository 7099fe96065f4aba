"""Situations from public reports, each a folder with a script that exits 0 where the program behaves rightly."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CASES = Path(__file__).resolve().parents[2] / "shared" / "cases"
NAS = Path(sys.executable).with_name("nas")
SKIPPED = 77


@pytest.mark.slow
@pytest.mark.skipif(not CASES.is_dir(), reason="the situations are not on this machine")
@pytest.mark.parametrize("case", sorted(path.parent.name for path in CASES.glob("*/run.sh")))
def test_a_situation(case: str) -> None:
    if case == "34-packages-by-pythonpath":
        pytest.skip("it needs an installation that is not editable; see tests/cli/test_surroundings.py")
    done = subprocess.run(
        ["bash", str(CASES / case / "run.sh")],
        env={**os.environ, "NAS": str(NAS)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if done.returncode == SKIPPED:
        pytest.skip("this machine cannot show it")
    assert done.returncode == 0, done.stdout + done.stderr
