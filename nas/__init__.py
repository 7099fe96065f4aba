"""Multi-objective neural architecture search in the way of MnasNet and EfficientNet.

``nas.search``, ``nas.scale`` and ``nas.load`` are what scripts and notebooks use; they are loaded when they are first
asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nas.api import load, scale, search
    from nas.results import Family, LoadedNetwork, SearchResult

__all__ = ["Family", "LoadedNetwork", "SearchResult", "load", "scale", "search"]


def __getattr__(name: str) -> Any:
    """Look a name up when it is asked for: what it takes is loaded then."""
    if name in __all__:
        from nas import api

        return getattr(api, name)
    if name == "__version__":
        from nas.core.version import package_version

        return package_version()
    raise AttributeError(f"module 'nas' has no attribute '{name}'")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
