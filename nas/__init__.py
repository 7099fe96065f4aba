"""Multi-objective neural architecture search in the way of MnasNet and EfficientNet."""

from __future__ import annotations


def __getattr__(name: str) -> str:
    """Look ``__version__`` up when it is asked for: the metadata take longer to read than all else here."""
    if name != "__version__":
        raise AttributeError(f"module 'nas' has no attribute '{name}'")
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("mnas")
    except PackageNotFoundError:  # a source tree that was never installed
        return "0+unknown"
