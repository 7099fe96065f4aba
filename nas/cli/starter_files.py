"""The files that ``nas init`` writes: a configuration with a word about every key, and a space to change."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from nas.evaluate.proxy.settings import ProxySettings
from nas.search.config import RunConfig

WIDTH = 110
LEFT_OUT = ("scaling", "expected_trials")  # written by the program itself

SPACE = """\
# A search space as a table of stages. A list is a choice, a scalar is fixed.
#   nas check {path} --targets 4M,6M     samples, builds, trains and counts its networks
#   nas search --config {config}
name: {name}
resolution: 32    # pixels that networks are made for; MACs are counted there
classes: 10       # outputs; a proxy trains with as many as its data has

# The first convolution.
stem: {{op: conv, kernel: 3, stride: 1, channels: 16, activation: swish}}

# One line a stage. What may be a choice: every value here.
#   op        mbconv (mbconv6 says expand: 6 too), dsconv, conv, basic or bottleneck
#   expand    channels inside the block, relative to those that enter
#   kernel    of the depthwise convolution: 3, 5, 7
#   stride    of the first layer; 2 halves the maps
#   channels  that leave the stage
#   layers    how many blocks; 0 as an option lets the stage be absent
#   se        squeeze-and-excitation, relative to the channels that enter; 0 is none
#   skip      identity, none, pooling or projection
#   activation  swish, relu, relu6, hard_swish
stages:
  - {{op: mbconv, expand: 1, kernel: [3, 5], stride: 1, channels: 16, layers: [1, 2], se: 0.25}}
  - {{op: mbconv, expand: [3, 4, 6], kernel: [3, 5], stride: 2, channels: [16, 24], layers: [1, 2, 3], se: [0, 0.25]}}
  - {{op: mbconv, expand: [3, 4, 6], kernel: [3, 5], stride: 2, channels: [32, 48], layers: [1, 2, 3], se: [0, 0.25]}}
  - {{op: mbconv, expand: [3, 6], kernel: 3, stride: 2, channels: [64, 96], layers: [1, 2], se: 0.25}}

# 1x1 convolution, pooling, dropout, classifier.
head: {{channels: 256, dropout: 0.2}}
"""

_FIRST = """\
# A search: nas search --config {path}
# What is behind a # has the value that is shown; take the # away to change it. Flags lie over this file, --set
# key.path=value over both. Quantities may be written as people write them: 400M, 0.4G, 20ms, 5MB, 10m.
"""


def starter_space(path: str, config: str, name: str = "mine") -> str:
    """Return a stage table to change, as YAML; it passes ``nas check``."""
    return SPACE.format(path=path, config=config, name=name)


def starter_config(path: str, space: str | None = None) -> str:
    """Return a configuration in which every key stands, most of them as comments.

    Args:
        path: the file's name, for the comment at its top.
        space: a space's file, trained on digits; ``None``: EfficientNet-B0's, predicted.
    """
    active: dict[str, Any] = {"space": space or "efficientnet", "seed": 0}
    if space is None:
        active |= {"trials": 5000, "objective.target_flops": "400M", "controller.name": "evolution"}
        active |= {"evaluator.name": "imagenet"}
    else:
        active |= {"trials": 16, "objective.target_flops": "6M", "controller.name": "predictor"}
        active |= {"evaluator.name": "proxy", "evaluator.epochs": 4, "evaluator.batch_size": 32}
        active |= {"data.source": "digits", "data.resolution": 32}
    lines = [_FIRST.format(path=path)]
    for name, field in RunConfig.model_fields.items():
        if name in LEFT_OUT:
            continue
        words, section = field.description or "", _section(name)
        if section is None:
            lines += [*_comment(words, ""), _entry(name, _default(field), active.get(name), "")]
            continue
        own = {key: value for key, value in active.items() if key.startswith(f"{name}.")}
        if name == "evaluator" and active["evaluator.name"] != "proxy":
            section = {}
        lines += ["", *_comment(words, ""), f"{name}:"]
        inner = dict.fromkeys((key.partition(".")[2] for key in own), ("", None)) | section
        for key, (doc, value) in inner.items():
            lines += [*_comment(doc, "  "), _entry(key, value, own.get(f"{name}.{key}"), "  ")]
    return "\n".join(lines) + "\n"


def _section(name: str) -> dict[str, tuple[str, Any]] | None:
    """Return a section's keys with their words and defaults; ``None`` for a plain value."""
    if name == "controller":
        return {}
    kind = ProxySettings if name == "evaluator" else RunConfig.model_fields[name].annotation
    if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
        return None
    return {key: (field.description or "", _default(field)) for key, field in kind.model_fields.items()}


def _default(field: FieldInfo) -> Any:
    return field.get_default(call_default_factory=True)


def _comment(text: str, indent: str) -> Iterator[str]:
    plain = text.replace("``", "")
    yield from (f"{indent}# {line}" for line in textwrap.wrap(plain, WIDTH - len(indent)))


def _entry(name: str, default: Any, value: Any, indent: str) -> str:
    shown = default if value is None else value
    text = yaml.safe_dump(shown, default_flow_style=True, width=1000).removesuffix("...\n").strip()
    return f"{indent}{name}: {text}" if value is not None else f"{indent}# {name}: {text}"
