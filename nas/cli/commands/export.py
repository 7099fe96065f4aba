"""``nas export``: write a network as files that other programs can run."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from nas.cli.commands.show import Json
from nas.cli.display.output import Quiet
from nas.cli.guard import guarded

_FORMATS = ("onnx", "pt2", "py", "yaml", "torchvision", "timm")  # as in nas.export; repeated so --help needs no torch


@guarded
def export(
    thing_and_formats: Annotated[
        list[str],
        typer.Argument(
            metavar="THING [onnx|pt2|py|yaml|torchvision|timm]...",
            help="A network with or without weights (a training's folder includes them), and formats (default: all).",
        ),
    ],
    formats: Annotated[str | None, typer.Option("--format", help="Formats, separated by commas.")] = None,
    weights: Annotated[
        str | None,
        typer.Option(help="A .safetensors file, a training's folder, torchvision (default: THING's own)."),
    ] = None,
    resolution: Annotated[int | None, typer.Option(min=1, help="Pixels (default: the weights' resolution).")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the files (default: exported/NAME).")] = None,
    quiet: Quiet = False,  # noqa: ARG001 (applied by its callback)
    json: Json = False,
) -> None:
    """Export a network; each file is reloaded in a fresh process and compared before it is accepted.

    The formats torchvision and timm are state dicts for the library's model that equals the network, if there is one.

    Examples:
      nas export trained/NAME onnx pt2

      nas export efficientnet_b0 onnx --weights torchvision
    """
    from dataclasses import replace

    from nas.cli.display.console_callback import ConsoleCallback
    from nas.cli.display.output import make_console, print_json, say_files, say_next
    from nas.core.files import write_whole
    from nas.export.card import model_card
    from nas.export.export import CARD, available_formats
    from nas.export.export import export as write
    from nas.weights.find import weights_or_initial

    thing, kinds = _parse(thing_and_formats, formats)
    found, trained = weights_or_initial(thing, weights)
    found = replace(found, network=found.network.at(resolution=resolution))
    network = found.network
    folder = out or Path("exported") / (Path(thing).resolve().stem if Path(thing).exists() else network.name)
    console = make_console()
    if not trained:
        typer.echo(f"warning: '{thing}' has no weights; initial weights are exported (--weights)", err=True)
    exported = write(network, found, kinds or available_formats(network), folder, ConsoleCallback(console, quiet=json))
    flags = {"--weights": weights, "--resolution": resolution, "--out": folder}
    given = [word for flag, value in flags.items() if value is not None for word in (flag, str(value))]
    command = shlex.join(["nas", "export", thing, *kinds, *given])
    card = folder / CARD
    write_whole(card, model_card(thing, found, trained, exported, command))
    if json:
        print_json([_row(one) for one in exported])
        return
    say_files(console, [*(one.path for one in exported), folder / "weights.safetensors", card])
    say_next(console, "bench", thing)


def _parse(words: list[str], formats: str | None) -> tuple[str, list[str]]:
    """Return the network and the formats, which may be given in any order."""
    from nas.core.errors import InputError, nearest_name

    named = [item.strip() for item in (formats or "").split(",") if item.strip()]
    kinds = [word for word in words if word in _FORMATS] + named
    things = [word for word in words if word not in _FORMATS]
    for kind in named:
        if kind not in _FORMATS:
            raise InputError(f"--format: no format is named '{kind}'{nearest_name(kind, _FORMATS)}")
    unknown = [word for word in things[1:] if not Path(word).exists()]
    if things and Path(things[0]).exists() and unknown:
        raise InputError(f"export: '{unknown[0]}' is no format{nearest_name(unknown[0], _FORMATS)}")
    if len(things) != 1:
        second = things[-1] if things else ""
        near = nearest_name(second, _FORMATS) if things else f". Formats: {', '.join(_FORMATS)}"
        raise InputError(f"export: expected one network and formats, got {things or 'no network'}{near}")
    return things[0], list(dict.fromkeys(kinds))


def _row(one: Any) -> dict[str, Any]:
    return {
        "format": one.kind,
        "path": str(one.path),
        "difference": one.difference,
        "scale": one.scale,
        "sha256": one.digest,
    }
