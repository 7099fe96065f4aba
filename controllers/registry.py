"""The controllers that can be named."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from nas.controllers.controller import Controller
from nas.controllers.random_search import RandomSearch
from nas.controllers.regularized_evolution import RegularizedEvolution
from nas.search_spaces.domain import Domain
from nas.search_spaces.errors import InputError, nearest_name

CONTROLLERS: dict[str, type[Controller]] = {kind.name: kind for kind in (RandomSearch, RegularizedEvolution)}


def check_controller(name: str, options: Mapping[str, Any]) -> None:
    """Check a controller's name and options before any work.

    Raises:
        InputError: naming the unknown controller, or the option that is unknown or of the wrong type.
    """
    if name not in CONTROLLERS:
        raise InputError(f"controller: no controller is named '{name}'{nearest_name(name, CONTROLLERS)}")
    known = controller_options(name)
    for key, value in options.items():
        if key not in known:
            raise InputError(f"unknown key 'controller.{key}'{nearest_name(key, known)}")
        if type(value) is not type(known[key]):
            kind = type(known[key]).__name__
            raise InputError(f"controller.{key}: expected a value of type {kind}, got {value!r}")


def controller_options(name: str) -> dict[str, Any]:
    """Return a controller's options and their defaults."""
    parameters = inspect.signature(CONTROLLERS[name].__init__).parameters.values()
    return {item.name: item.default for item in parameters if item.kind is inspect.Parameter.KEYWORD_ONLY}


def make_controller(name: str, domain: Domain, seed: int, options: Mapping[str, Any]) -> Controller:
    """Make a controller by name.

    Raises:
        InputError: if there is no such controller, or it does not take these options.
    """
    check_controller(name, options)
    return CONTROLLERS[name](domain, seed, **options)
