"""The configuration of ``nas make``, from which an interrupted one goes on."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import Field

from nas.core.files import absolute_path
from nas.core.flag import RUN, WHERE, Flag
from nas.core.section import Section
from nas.evaluate.data.settings import DataSettings
from nas.search.config_sections import ObjectiveSettings

Device = Literal["mcu", "phone", "laptop", "gpu"]
DEVICES: dict[Device, dict[str, Any]] = {
    "mcu": {"target_flops": "5M", "limits": {"params": "250K"}},
    "phone": {"target_flops": "50M"},
    "laptop": {"target_flops": "100M"},
    "gpu": {"target_flops": "400M"},
}
"""Budgets that ``--for`` stands for. A microcontroller has some hundred kilobytes of flash for int8 weights; a phone
runs 50M multiply-adds in a few milliseconds; see ``nas bench`` for your own machine."""

_REFERENCE_MACS, _REFERENCE_SIDE = 300e6, 224  # MobileNetV2 (arXiv 1801.04381, Table 4)
_SIDES = (16, 224)
_STEP = 8


class MakeConfig(Section):
    """What to make, and in which time."""

    data: DataSettings
    """The images; ``data.resolution`` follows from ``resolution``."""
    minutes: Annotated[float, Flag("--minutes", help="Minutes for everything: search, training, export, page.")] = (
        Field(default=30, gt=0)
    )
    """Time for everything, in minutes."""
    device_class: Annotated[
        Device | None,
        Flag("--for", help="Where the network will run: mcu, phone, laptop or gpu; sets the budget if none is given."),
    ] = None
    """Where the network will run; it sets the budget if no other is given."""
    objective: ObjectiveSettings = ObjectiveSettings()
    resolution: Annotated[
        int | None,
        Flag("--resolution", help="Side of the network's input in pixels (default: from the images and the budget)."),
    ] = Field(default=None, ge=8, le=1024)
    """Side of the network's input in pixels; unset: from the size of the images and the budget."""
    space: Annotated[
        str | None,
        Flag("--space", help="A shipped space, FILE.yaml or FILE.py:Class (default: own-images at this resolution)."),
    ] = None
    """The search space; unset: ``own-images`` at the chosen resolution."""
    seed: Annotated[int, Flag("--seed")] = Field(default=0, ge=0)
    """Random seed."""
    warm_start: Annotated[
        str | None,
        Flag(
            "--warm-start",
            help="Folder of an earlier nas make or nas search; its best networks are trained first.",
            is_path=True,
        ),
    ] = None
    """Folder of an earlier ``nas make`` or search, from which the search starts."""
    workers: Annotated[
        int | None, Flag("--workers", WHERE, help="Ray workers of the search; 0: this process (default: one per core).")
    ] = Field(default=None, ge=0)
    """Workers of the search; unset: one for each core."""
    export: Annotated[bool, Flag("--export/--no-export", RUN, help="Export the network at the end (default: yes).")] = (
        True
    )
    """Export the network to ONNX, to a Python file and to YAML at the end."""


def with_absolute_paths(config: MakeConfig) -> MakeConfig:
    """Return the configuration with absolute paths of files, so that it is resumed from any working directory."""
    objective, space, earlier = config.objective, config.space, config.warm_start
    if objective.device is not None and objective.device.endswith(".json"):
        objective = objective.model_copy(update={"device": absolute_path(objective.device)})
    if space is not None and (space.endswith((".yaml", ".yml")) or ".py:" in space):
        space = absolute_path(space)
    earlier = None if earlier is None else absolute_path(earlier)
    return config.model_copy(update={"objective": objective, "space": space, "warm_start": earlier})


def sensible_resolution(side: int, target_flops: float | None) -> int:
    """Return the resolution for images of ``side`` pixels and a budget in MACs; a multiple of 8 above 48 pixels.

    MobileNetV2 has 300M MACs at 224 px, and MACs grow with the square of the side. Images are never enlarged, and a
    smaller budget takes smaller images.

    Examples:
        >>> sensible_resolution(500, 20e6), sensible_resolution(48, 20e6), sensible_resolution(500, 400e6)
        (56, 48, 224)
    """
    share = 1.0 if target_flops is None else math.sqrt(target_flops / _REFERENCE_MACS)
    affordable = max(32.0, _REFERENCE_SIDE * share)
    least, most = _SIDES
    found = min(side or most, affordable, most)
    rounded = int(found // _STEP) * _STEP if found > 48 else int(found)
    return max(least, rounded)
