"""Controllers by name: the shipped ones, Optuna's samplers, those of installed packages, and a user's own."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from nas.controllers.controller import Controller
from nas.controllers.local_search import LocalSearch
from nas.controllers.nsga2 import NSGA2
from nas.controllers.optuna_sampler import PREFIX, OptunaController, find_sampler, sampler_options
from nas.controllers.predictor.predictor import Predictor
from nas.controllers.random_search import RandomSearch
from nas.controllers.regularized_evolution import RegularizedEvolution
from nas.controllers.rl.reinforcement_learning import ReinforcementLearning
from nas.controllers.task import Task
from nas.core.errors import InputError, nearest_name, shortened
from nas.core.user_code import UserCode, describe

_SHIPPED = (RandomSearch, RegularizedEvolution, NSGA2, ReinforcementLearning, Predictor, LocalSearch)
CONTROLLERS: dict[str, type[Controller]] = {kind.name: kind for kind in _SHIPPED}
ENTRY_POINTS = "nas.controllers"


@dataclass(frozen=True, slots=True)
class Kind:
    """How to make a controller, and what is known about it.

    Attributes:
        make: function that makes the controller from a task, a seed and options.
        options: the options and their defaults.
        learns: whether the controller can learn from the trials of an earlier run.
        any_type: whether the types of a sampler's options are not checked, because the defaults do not determine them.
        fitted: function from a number of trials and the given options to option values that suit that number.
    """

    make: Callable[..., Controller]
    options: Mapping[str, Any]
    learns: bool = True
    any_type: bool = False
    fitted: Callable[[int, Mapping[str, Any]], Mapping[str, Any]] = Controller.fitted


def find_controller(name: str) -> Kind:
    """Return the controller of a shipped name, ``optuna:SAMPLER``, ``FILE.py:Class`` or an installed package.

    Raises:
        InputError: if there is none (the message suggests the nearest name), or if a user's class is not a controller.
    """
    if name in CONTROLLERS:
        return _kind(CONTROLLERS[name])
    if name.startswith(PREFIX):
        sampler = find_sampler(name.removeprefix(PREFIX))

        def make(task: Task, seed: int, **options: Any) -> Controller:
            return OptunaController(task, seed, sampler, **options)

        return Kind(make, _options(OptunaController) | sampler_options(sampler), any_type=True)
    if code := UserCode.read(name, "controller"):
        return _kind(_checked(code.load(), code.class_name))
    if name in (installed := installed_controllers()):
        try:
            kind = installed[name].load()
        except Exception as error:
            raise InputError(f"controller: {installed[name].value} cannot be loaded: {describe(error)}") from error
        return _kind(_checked(kind, name))
    known = [*CONTROLLERS, *installed, "optuna:TPESampler", "FILE.py:Class"]
    raise InputError(f"controller: no controller is named '{name}'{nearest_name(name, known)}")


def is_controller(name: str) -> bool:
    """Return whether a name, or the class of ``FILE.py:Class``, is a controller rather than a space.

    Raises:
        InputError: if the file cannot be read or run, or has no such class.
    """
    if name in CONTROLLERS or name.startswith(PREFIX) or name in installed_controllers():
        return True
    code = UserCode.read(name, "check") if ".py" in name else None
    if code is None:
        return False
    kind = code.load()
    return issubclass(kind, Controller) or any(hasattr(kind, method) for method in ("propose", "ask", "tell"))


def installed_controllers() -> dict[str, EntryPoint]:
    """Return the controllers that installed packages register as entry points ``nas.controllers``, by name."""
    found = {point.name: point for point in entry_points(group=ENTRY_POINTS)}
    return {name: found[name] for name in sorted(found) if name not in CONTROLLERS}


def check_options(name: str, options: Mapping[str, Any]) -> None:
    """Check a controller's name and options before any work.

    Raises:
        InputError: naming the unknown controller, or the option that is unknown or of the wrong type.
    """
    kind = find_controller(name)
    for key, value in options.items():
        if key not in kind.options:
            raise InputError(f"unknown key 'controller.{key}'{nearest_name(key, kind.options)}")
        default = kind.options[key]
        if not _fits(value, default) and not (kind.any_type and key not in _options(OptunaController)):
            raise InputError(f"controller.{key}: expected {_type_name(default)}, got {shortened(repr(value))}")


def fitted_options(name: str, trials: int, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the given options of a controller, and those that its ``fitted`` returns for a number of trials.

    Raises:
        InputError: if there is no such controller, a given option does not suit the number of trials, or the class's
            own code fails.
    """
    kind = find_controller(name)
    try:
        fitted = kind.fitted(trials, given)
        return {**{key: value for key, value in fitted.items() if key in kind.options}, **given}
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"controller: {name}: fitted({trials}, {dict(given)}) raised {describe(error)}") from error


def make_controller(name: str, task: Task, seed: int, options: Mapping[str, Any]) -> Controller:
    """Make a controller by name.

    Raises:
        InputError: if there is no such controller, or it does not take these options.
    """
    check_options(name, options)
    kind = find_controller(name)
    try:
        return kind.make(task, seed, **{key: _whole(value, kind.options.get(key)) for key, value in options.items()})
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"controller: {name} cannot be made: {describe(error)}") from error


def _kind(kind: type[Controller]) -> Kind:
    fitted = kind.fitted if "fitted" in vars(kind) else Controller.fitted
    return Kind(kind, _options(kind), kind.learns, fitted=fitted)


def _options(kind: type[Controller]) -> dict[str, Any]:
    """Return a controller's keyword-only arguments and their defaults."""
    parameters = inspect.signature(kind).parameters.values()
    return {item.name: item.default for item in parameters if item.kind is inspect.Parameter.KEYWORD_ONLY}


def _checked(kind: Any, name: str) -> type[Controller]:
    """Return a user's class after checking that it is a controller that can be made.

    Raises:
        InputError: if it is not; the message says what is missing.
    """
    if not (isinstance(kind, type) and issubclass(kind, Controller)):
        raise InputError(
            f"controller: class {name} has to be a subclass of nas.controllers.controller.Controller with a method "
            "propose(self)"
        )
    if inspect.isabstract(kind):
        raise InputError(f"controller: class {name} lacks {', '.join(sorted(kind.__abstractmethods__))}")
    try:
        inspect.signature(kind).bind(None, 0)
    except TypeError as error:
        raise InputError(
            f"controller: class {name}: its constructor must take a task and a seed ({error}); its options are "
            "keyword-only arguments with defaults"
        ) from None
    if missing := [key for key, value in _options(kind).items() if value is inspect.Parameter.empty]:
        raise InputError(f"controller: class {name}: its option '{missing[0]}' needs a default")
    return kind


def _fits(value: Any, default: Any) -> bool:
    """Return whether a value has the type of a default; an int is accepted for a float, a list for a tuple."""
    if isinstance(default, bool) or isinstance(value, bool):
        return type(value) is type(default)
    if isinstance(default, float):
        return isinstance(value, int | float) and math.isfinite(value)
    if type(default) is int and isinstance(value, float):
        return value.is_integer()
    if isinstance(default, str) or not isinstance(default, Sequence | Mapping):
        return default is None or type(value) is type(default)
    return isinstance(value, Mapping if isinstance(default, Mapping) else list | tuple)


def _whole(value: Any, default: Any) -> Any:
    """Return a whole number such as 10.0 as an int, where an option is an int."""
    return int(value) if type(default) is int and isinstance(value, float) and value.is_integer() else value


def _type_name(default: Any) -> str:
    if isinstance(default, Mapping):
        return "a mapping"
    if isinstance(default, list | tuple):
        return "a list"
    known = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
    return known.get(type(default), f"a value of type {type(default).__name__}")
