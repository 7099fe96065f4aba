"""Shell completion of names, which are looked up only when the shell asks for them."""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterable
from pathlib import Path


def names(source: Callable[[], Iterable[str]], paths: bool = True) -> Callable[[str], list[str]]:
    """Return a function that completes the names from ``source`` and, if ``paths`` is true, file paths too."""

    def complete(incomplete: str) -> list[str]:
        found = [name for name in source() if name.startswith(incomplete)]
        if paths:
            there = sorted(glob.glob(f"{glob.escape(incomplete)}*"))  # noqa: PTH207 (keeps the path as typed)
            found += [f"{path}/" if Path(path).is_dir() else path for path in there]
        return found

    return complete


def _spaces() -> Iterable[str]:
    from nas.search_spaces.catalogue import space_names

    return space_names()


def _controllers() -> Iterable[str]:
    from nas.controllers.registry import CONTROLLERS

    return [*CONTROLLERS, "optuna:TPESampler"]


def _evaluators() -> Iterable[str]:
    from nas.evaluate.kinds import EVALUATORS

    return EVALUATORS


def _configurations() -> Iterable[str]:
    from nas.search.config import config_names

    return config_names()


def _data() -> Iterable[str]:
    from nas.evaluate.data.load import data_names

    return data_names()


def _networks() -> Iterable[str]:
    from nas.scale.find_network import thing_names

    return thing_names()


def _recipes() -> Iterable[str]:
    from nas.training.recipe import recipe_names

    return recipe_names()


def _presets() -> Iterable[str]:
    from nas.search_spaces.hardware_presets import PRESETS

    return PRESETS


spaces, controllers, evaluators = names(_spaces), names(_controllers), names(_evaluators)
configurations, data, networks, recipes = names(_configurations), names(_data), names(_networks), names(_recipes)
presets = names(_presets, paths=False)
