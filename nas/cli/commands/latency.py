"""``nas latency build``: how fast this machine runs the networks of a space."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nas.cli.display.output import Quiet
from nas.cli.guard import guarded

app = typer.Typer(help="Latency on your own machine.", no_args_is_help=True)


@app.callback()
def root() -> None:
    """Latency on your own machine."""


@app.command("build")
@guarded
def build(
    space: Annotated[str, typer.Option(help="A shipped space, FILE.yaml or FILE.py:Class with stage tables.")],
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    backend: Annotated[str, typer.Option(help="eager or onnxruntime.")] = "eager",
    threads: Annotated[int, typer.Option(help="CPU threads.")] = 1,
    batch: Annotated[int, typer.Option(help="Batch size in images.")] = 1,
    rounds: Annotated[int, typer.Option(help="Rounds through all operators; the median is used.")] = 15,
    validation: Annotated[int, typer.Option(help="Number of whole networks to check the predictions on.")] = 20,
    seed: Annotated[int, typer.Option(help="Seed of the networks that are drawn.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Output file (default: latency-SPACE-DEVICE-BACKEND.json).")] = None,
    quiet: Quiet = False,  # noqa: ARG001 (applied by its callback)
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """Measure the latency of a space's operators on this machine, and check their sums on whole networks.

    Examples:
      nas latency build --space efficientnet

      nas search --target-flops 400M --device latency-efficientnet-cpu-eager.json --max-latency 40ms
    """
    from nas.cli.display.output import make_console, print_json, say, say_files, say_next
    from nas.core.files import write_whole
    from nas.evaluate.cost.latency.build import BuildSettings, build_table
    from nas.evaluate.cost.latency.table import as_text
    from nas.search_spaces.catalogue import load_space

    settings = BuildSettings(device, backend, threads, batch, rounds, validation=validation, seed=seed)
    loaded = load_space(space)
    path = out or Path(f"latency-{loaded.name}-{device}-{backend}.json")
    console = make_console()
    table = build_table(loaded, settings, lambda text: None if json else say(console, text))
    write_whole(path, as_text(table))
    checked = table.validation
    if json:
        summary = {"file": str(path), "operators": len(table.operators_ms), "seconds": table.seconds}
        print_json({**summary, **checked.model_dump(mode="json")})
        return
    say(console, "predicted ms  measured ms")
    for network in sorted(checked.networks, key=lambda network: network.measured_ms):
        say(console, f"{network.predicted_ms:12.2f}  {network.measured_ms:11.2f}")
    say(
        console,
        f"Mean error {checked.mape:.1%} on {len(checked.networks)} networks not used for the table; rank correlation "
        f"{checked.kendall_tau:.3f} (Kendall), {checked.spearman:.3f} (Spearman); {table.seconds:.0f} s",
    )
    say_files(console, [path])
    if checked.mape > 0.1:
        say(
            console,
            "Warning: the mean error is above 10%: searches refuse this table; build it on a less busy machine",
            "yellow",
        )
    latency = f"{sorted(network.measured_ms for network in checked.networks)[len(checked.networks) // 2]:.0f}ms"
    say_next(console, "search", "--space", space, "--device", path, "--max-latency", latency)
