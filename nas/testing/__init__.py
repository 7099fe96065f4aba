"""Contract checks of spaces and controllers, which ``nas check`` runs, and the small tasks that they use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nas.core.public import public_names

if TYPE_CHECKING:
    from nas.testing.controllers import CONTROLLER_CHECKS, check_controller
    from nas.testing.spaces import SPACE_CHECKS, Probe, check_space, take_samples
    from nas.testing.toy_tasks import ControllerSpec, banded_task, made_up_trial, play, tiny_task, whole_task

__all__ = [
    "CONTROLLER_CHECKS",
    "SPACE_CHECKS",
    "ControllerSpec",
    "Probe",
    "banded_task",
    "check_controller",
    "check_space",
    "made_up_trial",
    "play",
    "take_samples",
    "tiny_task",
    "whole_task",
]

__getattr__, __dir__ = public_names(
    __name__,
    {
        "nas.testing.controllers": ["CONTROLLER_CHECKS", "check_controller"],
        "nas.testing.spaces": ["SPACE_CHECKS", "Probe", "check_space", "take_samples"],
        "nas.testing.toy_tasks": ["ControllerSpec", "banded_task", "made_up_trial", "play", "tiny_task", "whole_task"],
    },
)
