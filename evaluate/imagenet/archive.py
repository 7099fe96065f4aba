"""The benchmark's own archive of JSON files (``anb_dataset_jsons.tar.gz``), read into a table of measured networks.

Each file holds ``architecture`` (``block0_e`` ... ``block6_se``), ``metrics`` and ``platform_perf``. No file of
the archive is unpacked to disk or run.
"""

from __future__ import annotations

import csv
import io
import re
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nas.core.documents import parse_json, read_json
from nas.core.errors import InputError
from nas.evaluate.imagenet.measured_table import CHOICE_COLUMNS, DEVICE_COLUMNS

_MOST_BYTES = 2**20  # largest size of one file; a normal file has about two thousand bytes
_FIGURES = ("top1", "top5", "train_seconds", "params_m", "macs_m")
_SPLITS = ("train", "val", "test")
_NUMBER = re.compile(r"(\d+)\.json$")


def read_archive(path: Path, splits: Path | None = None) -> str:
    """Return the archive as CSV text, one network a line, ordered by its number.

    Args:
        path: the ``.tar.gz``, or a folder of its JSON files.
        splits: the folder of ``train_paths.json``, ``val_paths.json`` and ``test_paths.json``; without it, every
            network is in ``train``.

    Raises:
        InputError: if the file is not such an archive, or an entry is not a measured network. The message names it.
    """
    members = _split_members(splits) if splits else None
    rows: list[dict[str, Any]] = []
    for name, text in _files(path):
        match = _NUMBER.search(name)
        number = int(match.group(1)) if match else len(rows)
        split = "train" if members is None else members.get(Path(name).name, "none")
        rows.append({"id": number, "split": split, **_row(f"{path}: {name}", text)})
    if not rows:
        raise InputError(f"{path}: expected JSON files of measured networks, found none")
    output = io.StringIO()
    writer = csv.DictWriter(output, ["id", "split", *CHOICE_COLUMNS, *_FIGURES, *DEVICE_COLUMNS], lineterminator="\n")
    writer.writeheader()
    writer.writerows(sorted(rows, key=lambda row: int(row["id"])))
    return output.getvalue()


def _files(path: Path) -> Iterator[tuple[str, bytes]]:
    if path.is_dir():
        for file in sorted(path.rglob("*.json")):
            yield str(file.relative_to(path)), file.read_bytes()
        return
    try:
        with tarfile.open(path, "r:*") as archive:
            for member in archive:
                if member.isfile() and member.name.endswith(".json") and not Path(member.name).name.startswith("._"):
                    if member.size > _MOST_BYTES:
                        raise InputError(f"{path}: {member.name}: expected at most {_MOST_BYTES} bytes")
                    content = archive.extractfile(member)
                    assert content is not None
                    yield member.name, content.read()
    except (OSError, EOFError, tarfile.TarError) as error:
        raise InputError(f"{path}: expected a tar archive or a folder of JSON files: {error}") from None


def _row(where: str, text: bytes) -> dict[str, Any]:
    try:
        data = parse_json(text, where)
        choices = {name: _choice(data["architecture"], name) for name in CHOICE_COLUMNS}
        metrics, info = data["metrics"], data.get("model_info", {})
        figures = {
            "top1": metrics["val_top1"],
            "top5": metrics.get("val_top5"),
            "train_seconds": metrics.get("train_time"),
            "params_m": info.get("params"),
            "macs_m": info.get("macs"),
        }
        return choices | figures | {name: _measured(data.get("platform_perf", {}), name) for name in DEVICE_COLUMNS}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{where}: is no measured network ({type(error).__name__}: {error})") from None


def _choice(architecture: Mapping[str, Any], column: str) -> int:
    """Return a choice such as ``se3``, which the archive calls ``block2_se``."""
    letter, stage = column[:-1], int(column[-1])
    value = architecture[f"block{stage - 1}_{letter}"]
    return {"True": 1, "False": 0}[str(value)] if letter == "se" else int(value)


def _measured(performance: Mapping[str, Any], column: str) -> float | None:
    device, metric = column.rsplit("_", 1)
    entry = performance.get(f"{metric}_{device}") or {}
    value: float | None = entry.get(f"{metric}_mean")
    return value


def _split_members(folder: Path) -> dict[str, str]:
    """Return the split of each file, by its name."""
    found: dict[str, str] = {}
    for split in _SPLITS:
        file = folder / f"{split}_paths.json"
        try:
            paths = read_json(file)
            found |= {Path(str(path)).name: split for path in paths}
        except (OSError, ValueError, TypeError) as error:
            raise InputError(f"--splits: {file}: expected a JSON list of paths: {error}") from None
    return found
