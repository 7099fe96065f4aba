"""The benchmark's own archive becomes a table."""

from __future__ import annotations

import csv
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas.core.errors import InputError
from nas.evaluate.imagenet.archive import read_archive
from nas.evaluate.imagenet.measured_table import DEVICE_COLUMNS, read_measured
from tests.evaluate.imagenet.tables import made_up_rows


def entry(row: dict[str, Any]) -> dict[str, Any]:
    """A network as the benchmark writes it."""
    architecture = {
        f"block{stage - 1}_{letter}": (bool(row[f"se{stage}"]) if letter == "se" else row[f"{letter}{stage}"])
        for stage in range(1, 8)
        for letter in ("e", "k", "l", "se")
    }
    performance: dict[str, Any] = {}
    for name in DEVICE_COLUMNS:
        device, metric = name.rsplit("_", 1)
        performance[f"{metric}_{device}"] = {f"{metric}_mean": row[name], f"{metric}_std": 0.1}
    return {
        "architecture": architecture,
        "metrics": {"val_top1": row["top1"], "val_top5": 85.0, "train_time": 2000.0},
        "model_info": {"params": row["params_m"], "macs": 400.0},
        "platform_perf": performance,
    }


def write_archive(path: Path, entries: dict[str, Any]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, data in entries.items():
            content = data if isinstance(data, bytes) else json.dumps(data).encode()
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def test_the_archive_becomes_a_table_that_reads_back(tmp_path: Path) -> None:
    rows = made_up_rows(12)
    entries = {f"anb/results_{index}.json": entry(row) for index, row in enumerate(rows)}
    entries["anb/results_4.json"]["architecture"]["block0_se"] = str(bool(rows[4]["se1"]))  # both are about
    del entries["anb/results_7.json"]["platform_perf"]["throughput_tpuv3"]
    archive = write_archive(tmp_path / "a.tar.gz", {**entries, "anb/README.md": b"no network"})
    (tmp_path / "t.csv").write_text(read_archive(archive))
    table = read_measured(tmp_path / "t.csv")
    np.testing.assert_allclose(table.columns["top1"], [row["top1"] for row in rows])
    assert np.flatnonzero(np.isnan(table.columns["tpuv3_throughput"])).tolist() == [7]
    written = list(csv.DictReader(io.StringIO(read_archive(archive))))
    assert [int(row["id"]) for row in written] == list(range(12)) and {row["split"] for row in written} == {"train"}
    assert all(int(line[name]) == row[name] for line, row in zip(written, rows, strict=True) for name in ("e3", "se1"))


def test_splits_and_folders(tmp_path: Path) -> None:
    folder = tmp_path / "json"
    folder.mkdir()
    for index, row in enumerate(made_up_rows(4)):
        (folder / f"results_{index}.json").write_text(json.dumps(entry(row)))
    splits = tmp_path / "splits"
    splits.mkdir()
    for name, numbers in (("train", [0, 1]), ("val", [2]), ("test", [])):
        (splits / f"{name}_paths.json").write_text(json.dumps([f"root/results_{number}.json" for number in numbers]))
    written = list(csv.DictReader(io.StringIO(read_archive(folder, splits))))
    assert [row["split"] for row in written] == ["train", "train", "val", "none"]
    (splits / "val_paths.json").unlink()
    with pytest.raises(InputError, match=r"--splits.*val_paths\.json"):
        read_archive(folder, splits)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "is no measured network"),
        ({"architecture": {}}, "is no measured network .KeyError"),
        ([1], "is no measured network"),
        (b" " * (2**20 + 1), "expected at most"),
    ],
)
def test_files_that_are_no_network(content: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        read_archive(write_archive(tmp_path / "a.tar.gz", {"results_0.json": content}))


def test_what_is_no_archive(tmp_path: Path) -> None:
    (tmp_path / "text.tar.gz").write_text("text")
    with pytest.raises(InputError, match="expected a tar archive"):
        read_archive(tmp_path / "text.tar.gz")
    with pytest.raises(InputError, match="found none"):
        read_archive(write_archive(tmp_path / "empty.tar.gz", {}))
    whole = write_archive(tmp_path / "a.tar.gz", {"results_0.json": entry(made_up_rows(1)[0])}).read_bytes()
    (tmp_path / "cut.tar.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="expected a tar archive"):
        read_archive(tmp_path / "cut.tar.gz")
