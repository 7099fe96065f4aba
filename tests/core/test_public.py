"""Every package says what it offers, offers it, and loads nothing before it is used."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from types import ModuleType

import pytest

from nas.core.public import public_names
from tests.toys import ROOT

ROOMS = ("nas", "search_spaces", "controllers", "evaluate", "configs")


def packages() -> list[str]:
    """Return every package of the program by the name it is imported by."""
    found = []
    for room in ROOMS:
        for path in (ROOT / room).rglob("__init__.py"):  # links are not followed
            parts = path.parent.relative_to(ROOT).parts
            found.append(".".join(parts if room == "nas" else ("nas", *parts)))
    return sorted(found)


@pytest.mark.parametrize("name", packages())
def test_every_public_name_is_there(name: str) -> None:
    package = importlib.import_module(name)
    assert package.__all__ == sorted(package.__all__, key=lambda one: (not one.isupper(), one[0].islower(), one))
    for public in package.__all__:
        assert getattr(package, public) is not None
        assert public in dir(package)


@pytest.mark.parametrize("name", [name for name in packages() if importlib.import_module(name).__all__])
def test_type_checkers_see_the_same_names(name: str) -> None:
    package = importlib.import_module(name)
    assert package.__file__ is not None
    with open(package.__file__, encoding="utf-8") as file:  # noqa: PTH123
        tree = ast.parse(file.read())
    (guarded,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {alias.name for node in guarded.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert seen == set(package.__all__)


def test_packages_load_nothing_before_it_is_used() -> None:
    light = [name for name in packages() if importlib.import_module(name).__all__]
    code = (
        f"import sys, {', '.join(light)}; print([name for name in sys.modules if name.startswith(('nas.', 'numpy'))])"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert set(ast.literal_eval(loaded)) == {*light, "nas.core", "nas.core.public"} - {"nas"}


def test_a_renamed_name_works_and_warns(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("somewhere")
    homes = {"nas.core.errors": ["InputError"]}
    get, names = public_names("somewhere", homes, renamed={"MistakeError": "InputError"})
    monkeypatch.setitem(sys.modules, "somewhere", module)
    module.__getattr__ = get  # type: ignore[method-assign]
    from nas.core.errors import InputError

    with pytest.warns(DeprecationWarning, match=r"somewhere\.MistakeError is now somewhere\.InputError") as warned:
        assert module.MistakeError is InputError
    assert warned[0].filename == __file__
    assert "InputError" in names() and "MistakeError" not in names()
    with pytest.raises(AttributeError, match="'somewhere' has no attribute 'Other'"):
        _ = module.Other
