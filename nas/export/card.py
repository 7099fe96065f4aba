"""The model card: the network, its budget, how it was found and trained, and how to run its files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nas.core.documents import read_mapping, read_yaml
from nas.core.units import format_quantity
from nas.core.version import versions
from nas.evaluate.cost.exact import cost_by_part, network_cost
from nas.export.export import CARD_MARK, Exported
from nas.search_spaces.network import Network
from nas.search_spaces.parts import Head, Stage, Stem
from nas.weights.file import RESULT, Weights
from nas.weights.names import WEIGHTS


def model_card(thing: str, weights: Weights, trained: bool, exported: Sequence[Exported], command: str) -> str:
    """Return the card as Markdown.

    Args:
        thing: the exported network as given on the command line; if it is the folder of a search or a training, the
            card also describes how the network was found and trained.
        weights: weights and their network.
        trained: whether the weights were trained; ``False`` for initial weights.
        exported: the exported files, already verified.
        command: command that wrote the files.
    """
    network = weights.network
    sections = [
        f"# {network.name}\n\n{_summary(network, weights, trained)}",
        *_origin(Path(thing)),
        "## Architecture\n\n" + _stage_table(network),
        "## Input and output\n\n" + _inputs(network, weights),
        "## Files\n\n" + _files(exported),
        *(f"### {one.path.name}\n\n```python\n{one.snippet}```" for one in exported if one.snippet),
        "## How the files were made\n\n" + _made_with(command),
    ]
    return "\n\n".join([*sections, CARD_MARK]) + "\n"


def _summary(network: Network, weights: Weights, trained: bool) -> str:
    cost = network_cost(network)
    state = f"Weights: {weights.origin}." if trained else "**These are initial weights: the network was not trained.**"
    return (
        f"{format_quantity(cost.macs)} MACs and {format_quantity(cost.params)} parameters at {network.resolution} px "
        f"with {network.classes} classes; float32 weights of {cost.weight_bytes / 1e6:.1f} MB, at most "
        f"{cost.peak_activation_bytes / 1e6:.1f} MB of activations for one image. {state}"
    )


def _origin(folder: Path) -> list[str]:
    """Return the card's sections on the search (budget and result) and the training, from the files in the folder."""
    if not folder.is_dir():
        return []
    result = read_mapping(folder / RESULT)
    found = []
    if (folder / "config.yaml").is_file():
        config = read_yaml(folder / "config.yaml")
        lines = [f"- space `{config.get('space')}`, {config.get('trials')} trials, seed {config.get('seed')}"]
        lines += _budget_lines(config.get("objective") or {}, result)
        found.append("## How it was found\n\n" + "\n".join(lines))
    if (folder / "train.yaml").is_file():
        config = read_yaml(folder / "train.yaml")
        recipe = config.get("recipe") or {}
        lines = [
            f"- images: `{(config.get('data') or {}).get('source')}`, at {config.get('resolution')} px",
            f"- {recipe.get('epochs')} epochs, batch {recipe.get('batch_size')}, {recipe.get('optimizer')}, learning "
            f"rate {recipe.get('learning_rate')} per 256 images, seed {config.get('seed')}",
        ]
        if "test_top1" in result:
            lines.append(f"- **test top-1 {result['test_top1']:.2%}, top-5 {result['test_top5']:.2%}**")
        found.append("## How it was trained\n\n" + "\n".join(lines))
    return found


def _budget_lines(objective: Mapping[str, Any], result: Mapping[str, Any]) -> list[str]:
    rows = []
    asked = {"macs": objective.get("target_flops"), **(objective.get("limits") or {})}
    asked["latency_ms"] = objective.get("target_latency") or asked.get("latency_ms")
    for name, limit in asked.items():
        reached = result.get(name)
        if limit is not None:
            shown = "unknown" if reached is None else f"{reached:,.4g} ({reached / limit:.1%})"
            rows.append(f"| {name} | {limit:,.4g} | {shown} |")
    lines = (
        [
            "",
            "At the search's own resolution and classes:",
            "",
            "| budget | requested | reached |",
            "|---|---:|---:|",
            *rows,
        ]
        if rows
        else []
    )
    if "accuracy" in result:
        lines += ["", f"Accuracy by the search's own proxy or surrogate: {result['accuracy']:.2%}."]
    return lines


def _stage_table(network: Network) -> str:
    lines = ["| stage | op | kernel | stride | expand | channels | layers | SE | MACs | params |"]
    lines.append("|---|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    for part, (name, cost) in zip(network.parts, cost_by_part(network), strict=True):
        lines.append(f"| {name} | {' | '.join(_cells(part))} | {cost.macs:,} | {cost.params:,} |")
    return "\n".join(lines)


def _cells(part: Stem | Stage | Head) -> list[str]:
    if isinstance(part, Stem):
        return ["conv", str(part.kernel), str(part.stride), "", str(part.channels), "1", ""]
    if isinstance(part, Head):
        return ["conv, pool, fc" if part.channels else "pool, fc", "", "", "", str(part.channels or ""), "", ""]
    numbers = (part.kernel, part.stride, part.expand_ratio, part.channels, part.layers, part.se)
    return [part.op, *(f"{number:g}" for number in numbers)]


def _inputs(network: Network, weights: Weights) -> str:
    mean, std = (", ".join(f"{value:.3f}" for value in values) for values in (weights.mean, weights.std))
    side = round(network.resolution / weights.crop_share)
    classes = ", ".join(weights.classes[:20]) + (", ..." if len(weights.classes) > 20 else "")
    deep = weights.pixel_range
    scaled = f"Images of more than 8 bits: scale {deep.low:g}..{deep.high:g} to 0..255 first. " if deep else ""
    return (
        f"{scaled}RGB images: scale the shorter side to {side} px ({weights.interpolation}), crop the centre "
        f"{network.resolution} px, subtract "
        f"({mean}) from the values 0..255 and divide by ({std}); float32 `(batch, 3, height, width)`. The output is "
        f"logits `(batch, {network.classes})`" + (f" of the classes {classes}." if classes else ".")
    )


def _files(exported: Sequence[Exported]) -> str:
    lines = ["Each file was loaded in a fresh process, and its logits were compared with the original network's.", ""]
    lines += ["| file | largest difference of a logit | largest logit | SHA-256 |", "|---|---:|---:|---|"]
    for one in exported:
        lines.append(f"| `{one.path.name}` | {one.difference:.1e} | {one.scale:.3g} | `{one.digest}` |")
    if exported:
        whole = Exported("weights", exported[0].path.with_name(WEIGHTS), 0.0, 0.0)
        lines.append(f"| `{WEIGHTS}` | | | `{whole.digest}` |")
    return "\n".join(lines)


def _made_with(command: str) -> str:
    used = ", ".join(f"{name} {number}" for name, number in versions().items() if number != "not installed")
    return f"```bash\n{command}\n```\n\n{used}."
