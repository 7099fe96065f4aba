"""The data sets and prepared images on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nas.core.errors import InputError
from nas.evaluate.data.folders import cache_folder, data_folder
from nas.evaluate.data.named import NAMED
from nas.evaluate.data.prepared import is_prepared, open_prepared
from nas.evaluate.data.settings import DIGITS


def prepared_data() -> list[dict[str, Any]]:
    """Return the path, source, resolution, images and megabytes of every usable prepared folder in the cache."""
    found = []
    root = cache_folder() / "prepared"
    for path in sorted(root.iterdir()) if root.is_dir() else []:
        if path.name.startswith(".") or not is_prepared(path):
            continue
        try:
            prepared = open_prepared(path)
        except InputError:
            continue
        found.append(
            {
                "path": str(path),
                "source": prepared.source,
                "resolution": prepared.resolution,
                "images": sum(len(labels) for labels in prepared.labels.values()),
                "megabytes": round(prepared.size_bytes / 1e6, 1),
            }
        )
    return found


def named_data() -> list[dict[str, Any]]:
    """Return for every named data set its summary, whether it is on this machine, and its prepared resolutions."""
    prepared = prepared_data()
    rows = [(DIGITS, "10 digits, 1,797 grey images of 8 px; part of scikit-learn", "yes")]
    for name, known in NAMED.items():
        missing = "no; --download" if known.downloads else "no"
        rows.append((name, known.summary, "yes" if _holds_something(data_folder() / name) else missing))
    return [
        {
            "name": name,
            "summary": summary,
            "here": here,
            "prepared_at": sorted({row["resolution"] for row in prepared if row["source"] == name}),
        }
        for name, summary, here in rows
    ]


def _holds_something(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())
