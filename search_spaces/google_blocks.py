"""Parser and formatter of Google's block notation, such as ``r3_k5_s2_e6_i24_o40_se0.25``.

As in the public code of MnasNet and EfficientNet: ``r`` layers, ``k`` kernel, ``s`` stride (``s2``, or ``s22`` for both
directions), ``e`` expand ratio, ``i`` input channels, ``o`` output channels, ``se`` ratio, ``noskip``.
"""

from __future__ import annotations

import re
from typing import Any

from nas.core.errors import InputError
from nas.search_spaces.network import Network
from nas.search_spaces.parts import Stage

_PIECE = re.compile(r"(?P<key>se|[a-z])(?P<value>[0-9]+(?:\.[0-9]+)?)")
_KEYS = {"r": "layers", "k": "kernel", "s": "stride", "e": "expand", "i": "inputs", "o": "channels", "se": "se"}
_REQUIRED = ("r", "k", "s", "e", "o")


def parse_block(text: str, where: str = "block") -> tuple[dict[str, Any], int | None]:
    """Return a stage's YAML form, and the input channels that the notation states (``None`` if it leaves them out).

    Raises:
        InputError: naming the piece that is unknown, missing or wrong.
    """
    values: dict[str, Any] = {}
    skip = {}
    for piece in text.strip().split("_"):
        if piece == "noskip":
            skip = {"skip": "none"}
            continue
        match = _PIECE.fullmatch(piece)
        if match is None or match["key"] not in _KEYS:
            raise InputError(f"{where}: expected pieces such as r3_k5_s2_e6_i24_o40_se0.25, got '{piece}' in '{text}'")
        if match["key"] in values:
            raise InputError(f"{where}: '{match['key']}' occurs twice in '{text}'")
        values[match["key"]] = _number(match["value"])
    if missing := [key for key in _REQUIRED if key not in values]:
        raise InputError(f"{where}: '{text}' lacks {', '.join(f'{key} ({_KEYS[key]})' for key in missing)}")
    values["s"] = _stride(values["s"], where, text)
    inputs = values.pop("i", None)
    return {"op": "mbconv", **{_KEYS[key]: value for key, value in values.items()}, **skip}, inputs


def check_inputs(stated: int | None, arriving: int, where: str) -> None:
    """Check that the stated input channels equal the actual input channels.

    Raises:
        InputError: if they differ.
    """
    if stated is not None and stated != arriving:
        raise InputError(f"{where}: the block states i{stated}, but {arriving} channels arrive; correct or omit it")


def format_block(stage: Stage, in_channels: int, where: str = "block") -> str:
    """Return a stage in block notation.

    Raises:
        InputError: for a stage that the notation cannot express (other operations, MobileNetV3's SE).
    """
    plain_se = not stage.se or (stage.se_base, stage.se_activation, stage.se_gate) == ("input", None, "sigmoid")
    if stage.op != "mbconv" or stage.skip not in ("identity", "none") or not plain_se:
        raise InputError(f"{where}: block notation supports only mbconv with MnasNet's SE and skips, got {stage}")
    pieces = [f"r{stage.layers}", f"k{stage.kernel}", f"s{stage.stride}{stage.stride}", f"e{stage.expand_ratio:g}"]
    pieces += [f"i{in_channels}", f"o{stage.channels}"]
    pieces += [f"se{stage.se:g}"] if stage.se else []
    return "_".join([*pieces, *(["noskip"] if stage.skip == "none" else [])])


def block_strings(network: Network) -> list[str]:
    """Return every stage in block notation; stem, head and activations are not part of the notation.

    Raises:
        InputError: as ``format_block``.

    Examples:
        >>> from nas.search_spaces.catalogue import reference_network
        >>> block_strings(reference_network("efficientnet_b0"))[:2]
        ['r1_k3_s11_e1_i32_o16_se0.25', 'r2_k3_s22_e6_i16_o24_se0.25']
    """
    inputs = [network.stem.channels, *(stage.channels for stage in network.stages)]
    return [
        format_block(stage, channels, f"stages[{index}]")
        for index, (stage, channels) in enumerate(zip(network.stages, inputs, strict=False))
    ]


def _number(text: str) -> int | float:
    return float(text) if "." in text else int(text)


def _stride(value: int | float, where: str, text: str) -> int:
    if value in (1, 11):
        return 1
    if value in (2, 22):
        return 2
    raise InputError(f"{where}: expected stride s1, s2, s11 or s22, got 's{value}' in '{text}'")
