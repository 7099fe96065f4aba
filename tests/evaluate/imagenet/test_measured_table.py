"""Tables of measured networks: what is read, and what is refused by line and column."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas.core.errors import InputError
from nas.evaluate.imagenet.measured_table import DEVICE_COLUMNS, read_measured
from tests.evaluate.imagenet.tables import SHARED, made_up_rows, write_rows


def test_a_table_is_read_whole(tmp_path: Path) -> None:
    rows = made_up_rows(20)
    rows[3]["tpuv3_throughput"] = ""
    table = read_measured(write_rows(tmp_path / "t.csv", rows))
    assert table.genes.shape == (20, 28) and set(table.columns) == {"top1", *DEVICE_COLUMNS}
    assert np.flatnonzero(np.isnan(table.columns["tpuv3_throughput"])).tolist() == [3]
    assert len(table.of("val").genes) == 4 and len(table.of("train").genes) == 16
    with pytest.raises(InputError, match=r"--split: expected one of the file's splits \(train, val\), got 'test'"):
        table.of("test")


def test_networks_measured_twice_are_averaged(tmp_path: Path) -> None:
    rows = made_up_rows(5)
    again = {**rows[2], "top1": rows[2]["top1"] + 1, "a100_throughput": ""}
    table = read_measured(write_rows(tmp_path / "t.csv", [*rows, again])).merged()
    assert len(table.genes) == 5 and len(np.unique(table.genes, axis=0)) == 5
    means = sorted(row["top1"] + (0.5 if row is rows[2] else 0) for row in rows)
    np.testing.assert_allclose(np.sort(table.columns["top1"]), means)
    assert not np.isnan(table.columns["a100_throughput"]).any()


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("e3", 5, "line 4: e3: expected one of 1, 4, 6, got '5'"),
        ("k1", "x", "line 4: k1: expected one of 3, 5, got 'x'"),
        ("se7", 2, "line 4: se7: expected one of 0, 1, got '2'"),
        ("top1", "high", "line 4: top1: expected a positive number or nothing, got 'high'"),
        ("a100_throughput", -3, "line 4: a100_throughput: .*got '-3'"),
        ("params_m", 1.0, "line 4: params_m: these choices .* the file says 1.000000 .1 rows differ"),
    ],
)
def test_mistakes_are_named_by_line_and_column(column: str, value: Any, message: str, tmp_path: Path) -> None:
    rows = made_up_rows(5)
    rows[2][column] = value
    with pytest.raises(InputError, match=message):
        read_measured(write_rows(tmp_path / "t.csv", rows))


def test_files_that_are_no_table(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_measured(tmp_path / "absent.csv")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="missing: e1, k1"):
        read_measured(tmp_path / "other.csv")
    rows = made_up_rows(2)
    path = write_rows(tmp_path / "t.csv", rows)
    path.write_text(path.read_text().splitlines()[0] + "\n")
    with pytest.raises(InputError, match="at least one network"):
        read_measured(path)
    bare = [{key: row[key] for key in row if key[0] in "ekls" and key != "split"} for row in rows]
    with pytest.raises(InputError, match="at least one of the columns top1"):
        read_measured(write_rows(path, bare))


@pytest.mark.skipif(not SHARED.is_dir(), reason="the public measurements are not on this machine")
def test_every_public_row_has_the_params_that_its_choices_say() -> None:
    table = read_measured(SHARED / "trained_networks.csv")
    assert len(table.genes) == 4626 and len(table.of("train").genes) == 4100
