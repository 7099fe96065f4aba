"""The report of a run as one HTML page."""

from nas.core.figures import load_matplotlib

__all__: list[str] = []

load_matplotlib()
