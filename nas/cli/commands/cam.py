"""``nas cam``: class activation maps, which show the image regions that a network uses for a class."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas.cli.commands.show import Json
from nas.cli.guard import guarded

if TYPE_CHECKING:
    from nas.weights.file import Weights

_SUFFIXES = (".png", ".svg", ".pdf")


@guarded
def cam(
    things: Annotated[
        list[str], typer.Argument(help="Networks; a training's folder or a .safetensors file includes its weights.")
    ],
    image: Annotated[list[Path] | None, typer.Option(help="An image file; repeatable, one row per image.")] = None,
    weights: Annotated[
        list[str] | None,
        typer.Option(help="Weights of each network in order, or one for all: file, training's folder or torchvision."),
    ] = None,
    wanted: Annotated[
        str | None, typer.Option("--class", help="A class's name or number (default: the predicted class).")
    ] = None,
    out: Annotated[Path, typer.Option(help="The picture: .png, .svg or .pdf.")] = Path("cam.png"),
    json: Json = False,
) -> None:
    """Draw class activation maps of several networks side by side.

    Examples:
      nas cam trained/NAME --image dog.jpg

      nas cam efficientnet_b0 resnet50 --weights torchvision --image dog.jpg --out dog.svg
    """
    from nas.cli.display.output import make_console, print_json, say, say_files, say_next
    from nas.core.errors import InputError
    from nas.export.cam import activation_map, draw_maps, open_image

    if not image:
        raise InputError("cam: --image is missing; give an image file")
    if out.suffix.lower() not in _SUFFIXES:
        raise InputError(f"--out: expected a file ending in {', '.join(_SUFFIXES)}, got '{out}'")
    models = _models(things, weights or [])
    pictures = [open_image(path) for path in image]
    rows = [[activation_map(model, picture, wanted) for model in models] for picture in pictures]
    out.parent.mkdir(parents=True, exist_ok=True)
    draw_maps(rows, out)
    found: list[dict[str, Any]] = [
        {
            "image": str(path),
            "network": one.network,
            "class": one.name,
            "label": one.label,
            "probability": one.probability,
            "method": "CAM" if one.exact else "Grad-CAM",
        }
        for path, maps in zip(image, rows, strict=True)
        for one in maps
    ]
    if json:
        print_json({"picture": str(out), "maps": found})
        return
    console = make_console()
    for row in found:
        say(
            console,
            f"{row['image']}  {row['network']}: {row['class']} with {row['probability']:.1%} ({row['method']})",
        )
    say_files(console, [out])
    say_next(console, "export", things[0], *(["--weights", weights[0]] if weights else []))


def _models(things: list[str], weights: list[str]) -> list[Weights]:
    """Return every network with its weights.

    Raises:
        InputError: if a network has no weights, because its map would be meaningless.
    """
    from dataclasses import replace

    from nas.core.errors import InputError
    from nas.scale.find_network import told_apart
    from nas.weights.find import load_weights

    if len(weights) not in (0, 1, len(things)):
        raise InputError(f"--weights: expected one for all or {len(things)}, one per network, got {len(weights)}")
    shared = weights[0] if weights else None
    each: list[str | None] = [*weights] if len(weights) == len(things) else [shared] * len(things)
    found = []
    for thing, own in zip(things, each, strict=True):
        loaded = load_weights(thing, own)
        if loaded is None:
            raise InputError(f"cam: '{thing}' has no weights; train it (nas train), or give --weights FILE|torchvision")
        found.append(loaded)
    networks = told_apart([loaded.network for loaded in found], things)
    return [replace(loaded, network=network) for loaded, network in zip(found, networks, strict=True)]
