"""The version of this package and of the libraries that results depend on."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def package_version() -> str:
    """Return this package's version; ``0+unknown`` for a source tree that was never installed."""
    try:
        return version("mnas")
    except PackageNotFoundError:
        return "0+unknown"


def versions() -> dict[str, str]:
    """Return the versions that a run's result may depend on, without importing the packages."""
    import platform

    found = {"python": platform.python_version()}
    for package in ("mnas", "torch", "numpy", "ray", "scikit-learn", "pillow"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found
