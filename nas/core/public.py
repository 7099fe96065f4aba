"""Public names of a package, loaded at first use; old names keep working after a renaming."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any


def public_names(
    package: str, homes: Mapping[str, Sequence[str]], renamed: Mapping[str, str] = MappingProxyType({})
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return a package's ``__getattr__`` and ``__dir__`` (PEP 562).

    A module is imported when one of its names is first used, so that importing a package costs nothing.

    Args:
        package: its ``__name__``.
        homes: the public names of each of its modules, by the module's full name.
        renamed: old names that still work, mapped to the new names. Their use issues a ``DeprecationWarning``.
    """
    modules = {name: module for module, names in homes.items() for name in names}

    def get(name: str) -> Any:
        if (new := renamed.get(name)) is not None:
            warnings.warn(f"{package}.{name} is now {package}.{new}", DeprecationWarning, stacklevel=2)
            name = new
        if (module := modules.get(name)) is None:
            raise AttributeError(f"module '{package}' has no attribute '{name}'")
        return getattr(importlib.import_module(module), name)

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *modules})

    return get, names
