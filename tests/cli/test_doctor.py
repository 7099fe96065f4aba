"""The doctor looks at everything, says what to do about gaps, and takes its own failures for findings."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

import pytest
from typer.testing import CliRunner

from nas.cli import doctor
from nas.cli.app import app
from nas.cli.doctor import OPTIONAL, examine


def by_name(folder: Path) -> dict[str, doctor.Finding]:
    return {one.name: one for one in examine(folder)}


def test_every_gap_says_what_to_do(tmp_path: Path) -> None:
    found = by_name(tmp_path / "runs" / "deep")
    names = {"Python", "nas", "PyTorch", "GPU", "cores", "memory", "Ray", "shared memory", "run directory", "cache"}
    assert set(found) == names | {"data", "wandb"} | {name.replace("_", "-") for name in OPTIONAL}
    assert all(one.advice for one in found.values() if one.state != "ok")
    assert all(one.found for one in found.values())
    assert str(tmp_path) in found["run directory"].found and "MB/s" in found["run directory"].found
    assert list(tmp_path.iterdir()) == []  # nothing is left behind
    assert "digits" in found["data"].found


def test_what_is_not_installed_is_a_gap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "find_spec", lambda name: None)
    found = by_name(tmp_path)
    assert {found[name.replace("_", "-")].state for name in OPTIONAL} == {"gap"}
    assert found["optuna-dashboard"].advice == "pip install 'mnas[dashboard]'"


class Usage(NamedTuple):
    free: float = 1e8


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage())
    found = by_name(tmp_path)
    assert {found[name].state for name in ("run directory", "cache", "shared memory")} == {"gap"}
    assert "NAS_CACHE" in found["cache"].advice and "--shm-size" in found["shared memory"].advice


def test_a_folder_that_cannot_be_written_is_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "NamedTemporaryFile", refuse)
    result = CliRunner().invoke(app, ["doctor", "--out", str(tmp_path)])
    assert result.exit_code == 1 and "broken" in result.output and "--out" in result.output


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert by_name(tmp_path / "file")["run directory"].state == "broken"


def test_a_look_that_fails_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: 1 / 0)
    assert by_name(tmp_path)["cores"].state == "broken"


def test_json_is_one_document(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["doctor", "--json", "--out", str(tmp_path)])
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    assert document["ok"] and {"name", "state", "found", "advice"} == set(document["findings"][0])
