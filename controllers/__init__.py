"""Controllers that propose architectures: predictor, RL, evolution, NSGA-II, local search, random search, Optuna."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nas.core.public import public_names

if TYPE_CHECKING:
    from nas.controllers.controller import Controller
    from nas.controllers.registry import CONTROLLERS, make_controller
    from nas.controllers.task import Task

__all__ = ["CONTROLLERS", "Controller", "Task", "make_controller"]

__getattr__, __dir__ = public_names(
    __name__,
    {
        "nas.controllers.controller": ["Controller"],
        "nas.controllers.registry": ["CONTROLLERS", "make_controller"],
        "nas.controllers.task": ["Task"],
    },
)
