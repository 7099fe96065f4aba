"""The size of a source's images, read from a sample of their headers, before anything is decoded."""

from __future__ import annotations

import io

import numpy as np

from nas.evaluate.data.source import Source

_SAMPLE = 200


def typical_side(source: Source) -> int:
    """Return the median shorter side, in pixels, of about 200 images spread over a source.

    Images that cannot be read are passed over. If none can be read, the result is 0.
    """
    sides = [side for part in source.labels for side in _sides(source, part)]
    return round(float(np.median(sides))) if sides else 0


def _sides(source: Source, part: str) -> list[int]:
    from PIL import Image

    total = sum(len(labels) for labels in source.labels.values())
    count = len(source.labels[part])
    found = []
    for row in np.linspace(0, count - 1, min(count, max(1, _SAMPLE * count // max(1, total)))).round().astype(int):
        try:
            raw = source.read(part, int(row))
            if isinstance(raw, bytes):
                with Image.open(io.BytesIO(raw)) as image:
                    found.append(min(image.size))
            else:
                found.append(min(raw.shape[:2]))
        except Exception:  # decoding reports and counts unreadable files later
            continue
    return found
