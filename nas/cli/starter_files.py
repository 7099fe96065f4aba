"""The files that ``nas init`` writes: a configuration with a comment on every key, and an example search space."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from nas.core.documents import to_yaml
from nas.evaluate.proxy.settings import ProxySettings
from nas.search.config import RunConfig

_WIDTH = 110
LEFT_OUT = ("scaling", "expected_trials")  # written by the program itself

SPACE = """\
# A search space as a table of stages. A list is a choice, a scalar is fixed.
#   nas check {path} --targets 4M,6M     samples, builds, trains and counts its networks
#   nas search --config {config}
name: {name}
resolution: 32    # side of the input images in pixels; MACs are counted at this resolution
classes: 10       # outputs; a proxy training uses the number of classes of its data

# The first convolution.
stem: {{op: conv, kernel: 3, stride: 1, channels: 16, activation: swish}}

# One line per stage. Every value here may be a list of choices.
#   op        mbconv (mbconv6 also sets expand: 6), dsconv, conv, basic or bottleneck
#   expand    channels inside the block, relative to its input channels
#   kernel    of the depthwise convolution: 3, 5, 7
#   stride    of the first layer; 2 halves the side of the feature maps
#   channels  output channels of the stage
#   layers    number of blocks; 0 as a choice makes the stage optional
#   se        squeeze-and-excitation ratio, relative to the input channels; 0 is none
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
# A commented key shows its default; remove the # to change the value. Command-line options override this file, and
# --set key.path=value overrides both. Quantities may have units: 400M, 0.4G, 20ms, 5MB, 10m.
"""


def starter_space(path: str, config: str, name: str = "mine") -> str:
    """Return an example stage table as YAML, which the user can edit; it passes ``nas check``."""
    return SPACE.format(path=path, config=config, name=name)


def starter_config(path: str, space: str | None = None) -> str:
    """Return a configuration as YAML that contains every key, most of them commented out.

    Args:
        path: the file's name, for the comment at its top.
        space: file of a search space whose networks are trained on digits; ``None``: EfficientNet-B0's space with
            predicted accuracies.
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
    """Return a section's keys with their descriptions and defaults; ``None`` if ``name`` is a plain value."""
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
    yield from (f"{indent}# {line}" for line in textwrap.wrap(plain, _WIDTH - len(indent)))


def _entry(name: str, default: Any, value: Any, indent: str) -> str:
    shown = default if value is None else value
    text = to_yaml(shown, flow=True).strip()
    return f"{indent}{name}: {text}" if value is not None else f"{indent}# {name}: {text}"
