"""Multi-objective neural architecture search in the style of MnasNet and EfficientNet.

``nas.search``, ``nas.scale`` and ``nas.load`` are the interface for scripts and notebooks; they are loaded at their
first use.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nas.api import load, scale, search
    from nas.results import Family, LoadedNetwork, SearchResult
    from nas.search.callback import SearchCallback, SearchState

__all__ = ["Family", "LoadedNetwork", "SearchCallback", "SearchResult", "SearchState", "load", "scale", "search"]


def __getattr__(name: str) -> Any:
    """Load a public name at its first use."""
    if name in __all__:
        from nas import api

        return getattr(api, name)
    if name == "__version__":
        from nas.core.version import package_version

        return package_version()
    raise AttributeError(f"module 'nas' has no attribute '{name}'")


def __dir__() -> list[str]:
    return [*globals(), *__all__]


class _Package(ModuleType):
    """The module type of ``nas``, which keeps ``nas.search`` and ``nas.scale`` bound to the functions.

    Two sub-packages have the same names. Python binds a sub-package on its parent when something in it is imported;
    without this, ``nas.search`` would then stop being callable. ``from nas.search.loop import SearchLoop`` works
    either way.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if name in __all__ and isinstance(value, ModuleType):
            return
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
