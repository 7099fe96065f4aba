"""The machine as it is: cores, homes, names of folders."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nas.core import cores
from nas.core.cores import available_cores, processor
from nas.core.errors import InputError
from nas.core.files import absolute_path, claimed_folder, expanded, is_there


def test_cores_are_those_of_the_process() -> None:
    code = "from nas.core.cores import available_cores; print(available_cores())"
    one = min(os.sched_getaffinity(0))
    done = subprocess.run(
        ["taskset", "-c", str(one), sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "1" and processor()


@pytest.mark.parametrize(("limit", "expected"), [("max 100000", 64), ("150000 100000", 2), ("50000 100000", 1)])
def test_cores_are_at_most_those_of_the_control_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, expected: int
) -> None:
    (tmp_path / "cpu.max").write_text(f"{limit}\n")
    monkeypatch.setattr(cores, "_CGROUP", tmp_path)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))
    assert available_cores() == expected


def test_older_control_groups_have_quotas_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("300000")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000")
    monkeypatch.setattr(cores, "_CGROUP", tmp_path)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))
    assert available_cores() == 3


def test_without_a_home_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert expanded("~/x") == tmp_path / "x" and absolute_path("~/x") == str(tmp_path / "x")

    def unknown(_: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", unknown)
    with pytest.raises(InputError, match="no home directory is known here"):
        expanded("~/x")
    with pytest.raises(InputError, match="null character"):
        expanded("a\0b")


def test_the_cache_needs_no_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from nas.evaluate.data.folders import cache_folder

    def unknown() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("NAS_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr(Path, "home", unknown)
    assert cache_folder() == tmp_path / f"mnas-{os.getuid()}"


def test_folders_of_the_programs_own_never_collide(tmp_path: Path) -> None:
    made = [claimed_folder(tmp_path / "runs" / "x") for _ in range(3)]
    assert [path.name for path in made] == ["x", "x-2", "x-3"] and all(path.is_dir() for path in made)


def test_what_cannot_be_a_path_is_not_there() -> None:
    assert not is_there(Path("x" * 300)) and not is_there(Path("a\0b")) and is_there(Path("/"))


def test_figures_do_not_depend_on_the_notebook(tmp_path: Path) -> None:
    code = f"""
import os
os.environ["MPLBACKEND"] = "module://absent_backend"
from pathlib import Path
from nas.training.curves import write_curves
history = [dict(epoch=1, loss=1.0, raw_top1=0.5, raw_top5=0.9, raw_loss=1.0)] * 2
write_curves(Path({str(tmp_path / "a.svg")!r}), history, "net")
import matplotlib
matplotlib.rcParams.update({{"font.size": 30, "axes.facecolor": "black", "text.usetex": True}})
write_curves(Path({str(tmp_path / "b.svg")!r}), history, "net")
assert matplotlib.rcParams["font.size"] == 30 and os.environ["MPLBACKEND"] == "module://absent_backend"
"""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_ray_gets_a_short_folder_for_its_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    from nas.evaluate.workers.ray_cluster import short_folder

    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.setattr("tempfile.gettempdir", lambda: "/tmp")
    assert short_folder() is None
    monkeypatch.setattr("tempfile.gettempdir", lambda: "/scratch/" + "x" * 80)
    assert short_folder() == f"/tmp/ray-{os.getuid()}"
    monkeypatch.setenv("RAY_TMPDIR", "/scratch/" + "y" * 80)
    with pytest.raises(InputError, match="RAY_TMPDIR to a shorter folder"):
        short_folder()
