"""Deployment presets, which remove operations that the hardware runs badly and add operations that it runs well.

``edge-int8``: ReLU6 and no squeeze-and-excitation, as in EfficientNet-Lite, because int8 accelerators run these well.
``mobile``: hard-swish and hard-sigmoid gates, as in MobileNetV3; they need no exponential functions.
``gpu``: ReLU, no squeeze-and-excitation, and regular convolutions as an option in early stages, where GPUs run them
faster than depthwise ones (EfficientNetV2, arXiv 2104.00298, section 3.2).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nas.core.errors import InputError, nearest_name
from nas.search_spaces.google_blocks import parse_block
from nas.search_spaces.space import SearchSpace
from nas.search_spaces.stage_table import StageTableSpace

# Values that a preset sets in every stage.
PRESETS: dict[str, dict[str, Any]] = {
    "edge-int8": {"activation": "relu6", "se": 0},
    "mobile": {"activation": "hard_swish", "se_gate": "hard_sigmoid"},
    "gpu": {"activation": "relu", "se": 0},
}
_EARLY_STAGES = 3  # number of first stages in which the gpu preset also offers regular convolutions


def apply_preset(space: SearchSpace, preset: str) -> StageTableSpace:
    """Return a space adapted to a preset; the preset's name is appended to the space's name.

    Raises:
        InputError: if there is no such preset, the space is not a stage table, or no choice is left.
    """
    if preset not in PRESETS:
        raise InputError(f"preset: no preset is named '{preset}'{nearest_name(preset, PRESETS)}")
    if not isinstance(space, StageTableSpace):
        raise InputError(f"preset: space '{space.name}' is not a stage table; change its class instead")
    form = {key: value for key, value in space.form.items() if key != "activation"}
    stages = [_shaped(row, preset, index) for index, row in enumerate(form["stages"])]
    ends = {name: {**form[name], "activation": PRESETS[preset]["activation"]} for name in ("stem", "head")}
    return StageTableSpace({**form, **ends, "name": f"{space.name}-{preset}", "stages": stages}, f"preset {preset}")


def _shaped(row: Any, preset: str, index: int) -> dict[str, Any]:
    if isinstance(row, list):
        raise InputError(f"preset: stages[{index}] is a list of stages in block notation; presets need mappings")
    stage: Mapping[str, Any] = parse_block(row)[0] if isinstance(row, str) else row
    shaped = {key: value for key, value in stage.items() if key != "se_activation"} | PRESETS[preset]
    if not _has_excitation(shaped.get("se", 0)):
        shaped = {key: value for key, value in shaped.items() if key not in ("se_base", "se_gate")}
    if preset == "gpu" and index < _EARLY_STAGES and shaped.get("op", "mbconv") == "mbconv":
        shaped = {"op": ["mbconv", "conv"]} | {key: value for key, value in shaped.items() if key != "op"}
    return shaped


def _has_excitation(ratios: Any) -> bool:
    return any(ratio != 0 for ratio in (ratios if isinstance(ratios, list) else [ratios]))
