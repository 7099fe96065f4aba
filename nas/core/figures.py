"""Figures that need no display, with the same style everywhere and a colour-blind-safe palette."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nas.core.files import write_bytes_whole

_KEPT_PARAMETERS = ("backend", "backend_fallback", "interactive", "webagg.port", "toolbar")

# Okabe and Ito's palette.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000")


def load_matplotlib() -> None:
    """Import matplotlib without the backend that ``MPLBACKEND`` names, which may not be installed here."""
    import sys

    if "matplotlib" not in sys.modules:
        backend = os.environ.pop("MPLBACKEND", None)
        try:
            import matplotlib  # noqa: F401
        finally:
            if backend is not None:
                os.environ["MPLBACKEND"] = backend


@contextmanager
def own_style() -> Iterator[None]:
    """Draw with matplotlib's defaults inside the context, whatever the user's ``matplotlibrc`` or notebook has set.

    Figures need no display, so the backend that ``MPLBACKEND`` names is not loaded.
    """
    load_matplotlib()
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcParams.update({k: v for k, v in matplotlib.rcParamsDefault.items() if k not in _KEPT_PARAMETERS})
        yield


def new_figure(rows: int, columns: int, size: tuple[float, float]) -> tuple[Any, Any]:
    """Return a matplotlib figure and its axes, squeezed as by ``subplots``; matplotlib's global state is not changed.

    Args:
        rows: number of rows of axes.
        columns: number of columns of axes.
        size: width and height in inches.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(rows, columns)
    for one in axes.flat if hasattr(axes, "flat") else (axes,):
        one.set_prop_cycle(color=COLOURS)
        one.spines[["top", "right"]].set_visible(False)
    return figure, axes


def write_figure(path: Path, figure: Any) -> None:
    """Write a figure atomically in the format of the path's suffix (``.svg``, ``.png``, ``.pdf``).

    The same figure gives the same SVG or PNG file each time.

    Raises:
        InputError: if a file is in the way of a folder, or a folder in the way of the file.
        WorkError: if it cannot be written.
    """
    from matplotlib import rc_context

    buffer, kind = io.BytesIO(), path.suffix.lstrip(".")
    with rc_context({"svg.hashsalt": "mnas"}):
        figure.savefig(buffer, format=kind, dpi=150, metadata={"Date": None} if kind == "svg" else None)
    write_bytes_whole(path, buffer.getvalue())
