"""``nas data``: list the data sets that have names, and decode images once for all runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas.cli.commands.list import Json
from nas.cli.display.output import Quiet, show_table
from nas.cli.guard import guarded

if TYPE_CHECKING:
    pass

app = typer.Typer(help="Images to train on: list the named data sets, decode images once.", no_args_is_help=True)


@app.command("list")
@guarded
def list_data(json: Json = False) -> None:
    """List the data sets that --data accepts by name, whether they are on this machine, and their prepared sizes.

    Examples:
      nas data list
    """
    from nas.cli.display.output import make_console, plain_table, print_json, say, say_next
    from nas.evaluate.data.folders import cache_folder, data_folder
    from nas.evaluate.data.inventory import named_data, prepared_data

    named, prepared = named_data(), prepared_data()
    if json:
        print_json({"named": named, "prepared": prepared})
        return
    console = make_console()
    table = plain_table("data", "here", "prepared at", "what it is", wrap=("what it is",))
    for row in named:
        sizes = ", ".join(f"{size} px" for size in row["prepared_at"])
        table.add_row(row["name"], row["here"], sizes or "-", row["summary"])
    show_table(console, table)
    say(console, "Or any folder or zip of images: {train,test}/CLASS, {train,val}/CLASS, all three, or CLASS alone")
    for row in prepared:
        say(console, f"prepared: {row['path']}: {row['source']} at {row['resolution']} px, {row['megabytes']:.0f} MB")
    say_next(console, "search", "--data", "digits")
    say(console, f"Data sets are in {data_folder()} (NAS_DATA), decoded images in {cache_folder()} (NAS_CACHE)")


@app.command("prepare")
@guarded
def prepare(
    data: Annotated[str, typer.Argument(help="A name that 'nas data list' shows, or a folder or zip of images.")],
    resolution: Annotated[int, typer.Option(help="Side of the prepared images in pixels.")] = 32,
    out: Annotated[
        Path | None, typer.Option(help="Output folder, for --data (default: where --data NAME|DIR finds it).")
    ] = None,
    download: Annotated[bool, typer.Option("--download", help="Download a named data set if it is missing.")] = False,
    root: Annotated[
        Path | None, typer.Option(help="Folder that holds the named data sets (default: $NAS_DATA).")
    ] = None,
    quiet: Quiet = False,  # noqa: ARG001 (applied by its callback)
    json: Json = False,
) -> None:
    """Decode images once to uint8 arrays that all workers of a machine share, or verify existing arrays.

    Examples:
      nas data prepare DIR --resolution 64

      nas data prepare cifar10 --download --resolution 32
    """
    from nas.cli.display.console_callback import ConsoleCallback
    from nas.cli.display.output import make_console, print_json, say, say_files, say_next, warn
    from nas.core.errors import InputError
    from nas.evaluate.data.announce import mixed_depths
    from nas.evaluate.data.image_data import count_copies, describe_counts
    from nas.evaluate.data.load import find_source, prepare

    if resolution < 1:
        raise InputError(f"--resolution: expected at least 1 pixel, got {resolution}")
    source = find_source(data, root, download)
    console = make_console()
    with ConsoleCallback(console, quiet=json) as callback:
        prepared, fresh = prepare(source, resolution, out, callback.images_decoded)
    counts = {part: len(labels) for part, labels in prepared.labels.items()}
    summary: dict[str, Any] = {
        "path": str(prepared.path),
        "prepared_now": fresh,
        "resolution": resolution,
        "classes": len(prepared.classes),
        "images": counts,
        "megabytes": round(prepared.size_bytes / 1e6, 1),
        "unreadable": list(prepared.skipped),
        "left_out": list(prepared.notes),
        "modes": dict(prepared.modes),
        "range": prepared.pixel_range and prepared.pixel_range.ends,
    }
    if json:
        print_json(summary)
        return
    for line in prepared.skipped:
        say(console, f"unreadable, left out: {line}", style="yellow")
    what = "decoded now" if fresh else "decoded earlier; every checksum is right"
    sizes = ", ".join(f"{count:,} {part}" for part, count in counts.items())
    say(console, f"Images   {sizes}; {len(prepared.classes)} classes at {resolution} px: {what}")
    say(console, f"Classes  {describe_counts(prepared.class_counts())}")
    modes = ", ".join(f"{count:,} {mode}" for mode, count in prepared.modes.items())
    deep = prepared.pixel_range
    scaled = f"; deep ones are scaled from {deep.low:g}..{deep.high:g} to 0..255" if deep else ""
    say(console, f"Modes    {modes}{scaled}")
    order = [part for part in ("train", "val", "test", "all") if part in prepared.contents]
    for part, copies in count_copies({part: prepared.contents[part] for part in order}).items():
        if copies:
            warn(
                console, f"{copies:,} of the {counts[part]:,} {part} images are exact copies of images of other splits"
            )
    if warning := mixed_depths(prepared.modes):
        warn(console, warning)
    for note in prepared.notes:
        say(console, f"Left out {note}")
    if prepared.skipped:
        say(console, f"         {len(prepared.skipped)} of them could not be read and are left out")
    say_files(console, [f"{prepared.path} ({summary['megabytes']:,} MB)"])
    chosen = [] if resolution == 32 else ["--set", f"data.resolution={resolution}"]
    say_next(console, "search", "--data", out or data, *chosen)
