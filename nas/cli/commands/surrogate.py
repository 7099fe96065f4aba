"""``nas surrogate``: fit the ImageNet surrogate again, score it, make its table from the benchmark's archive."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from nas.cli.guard import guarded

app = typer.Typer(help="The ImageNet surrogate: score it, fit it again, import the benchmark's archive.")

Data = Annotated[Path, typer.Option(help="A CSV of measured networks; see: nas surrogate import.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
Numbers = Annotated[Path | None, typer.Option(help="File of another surrogate (.npz) (default: the shipped one).")]


@app.command("score")
@guarded
def score(
    data: Data,
    split: Annotated[str | None, typer.Option(help="Only rows of this split, such as val.")] = None,
    surrogate: Numbers = None,
    intervals: Annotated[
        bool, typer.Option("--intervals", help="Add 95% bootstrap intervals over the rows (always shown in text).")
    ] = False,
    json: Json = False,
) -> None:
    """Compare predictions with every measured row, in the file's units.

    Examples:
      nas surrogate score --data trained_networks.csv
    """
    from nas.cli.display.output import make_console, plain_table, print_json
    from nas.evaluate.imagenet.measured_table import read_measured
    from nas.evaluate.imagenet.prediction import load_surrogate, shipped_surrogate
    from nas.evaluate.imagenet.score import AGREEMENTS
    from nas.evaluate.imagenet.score import score as score_table

    table = read_measured(data)
    if split is not None:
        table = table.of(split)
    model = shipped_surrogate() if surrogate is None else load_surrogate(surrogate)
    found = score_table(model, table, 0 if json and not intervals else 300)
    if json:
        print_json(found)
        return
    shown = plain_table("column", *AGREEMENTS, "rows", "predictions/s", right=(*AGREEMENTS, "rows", "predictions/s"))
    for name, row in found.items():
        figures = [_figure(row[key], row["intervals"][key]) for key in AGREEMENTS]
        shown.add_row(name, *figures, f"{row['count']:,}", f"{row['predictions_per_second']:,}")
    make_console().print(shown)


def _figure(value: float | None, interval: list[float]) -> str:
    return "-" if value is None else f"{value:.4f} [{interval[0]:.4f}, {interval[1]:.4f}]"


@app.command("fit")
@guarded
def fit(
    data: Data,
    longer: Annotated[
        Path | None,
        typer.Option(help="A CSV of networks trained by both schedules (default: the shipped calibration is kept)."),
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Only rows of this split (default: train where the file has splits, else all).")
    ] = None,
    out: Annotated[Path, typer.Option(help="File for the fitted surrogate.")] = Path("surrogate.npz"),
    seed: Annotated[int, typer.Option(help="Seed of all random draws.")] = 0,
    compare: Annotated[
        bool, typer.Option("--compare", help="Only cross-validate the candidate models; write nothing.")
    ] = False,
) -> None:
    """Fit the surrogate to measured networks; this takes about a quarter of an hour on two cores.

    Examples:
      nas surrogate fit --data trained_networks.csv --longer proxy_vs_longer_training.csv
    """
    from nas.cli.display.output import make_console, say
    from nas.core.errors import InputError
    from nas.core.files import write_bytes_whole
    from nas.evaluate.cost.latency.timing import fixed_threads
    from nas.evaluate.imagenet.fit import LEAST_ROWS, compare_candidates, fit_surrogate, read_longer, save_numbers
    from nas.evaluate.imagenet.measured_table import ACCURACY, read_measured

    table = read_measured(data)
    if split is not None or "train" in table.split:
        table = table.of(split or "train")
    if ACCURACY not in table.columns or len(table.genes) < LEAST_ROWS:
        raise InputError(f"{data}: expected a column {ACCURACY} and at least {LEAST_ROWS} rows, got {len(table.genes)}")
    pairs = None if longer is None else read_longer(longer)
    console = make_console()
    with fixed_threads(2):  # the last digits of sums depend on the number of threads
        if compare:
            compare_candidates(table, seed, lambda text: say(console, text))
            return
        numbers = fit_surrogate(table, pairs, seed, lambda text: say(console, text))
    write_bytes_whole(out, save_numbers(numbers))
    say(console, f"Written  {out} ({out.stat().st_size:,} bytes); {_against_shipped(numbers)}")
    say(console, f"Next     nas surrogate score --data {data} --surrogate {out}")


def _against_shipped(numbers: dict[str, Any]) -> str:
    """Return a phrase with the mean absolute difference between the new and the shipped predictions."""
    import numpy as np

    from nas.evaluate.imagenet.distil import random_genes
    from nas.evaluate.imagenet.prediction import Surrogate, shipped_surrogate

    genes = random_genes(10_000, np.random.default_rng(0))
    shipped, fitted = shipped_surrogate().accuracy(genes)[0], Surrogate(numbers).accuracy(genes)[0]
    difference = float(np.abs(shipped - fitted).mean())
    return (
        "same predictions as the shipped surrogate"
        if difference == 0
        else f"predictions differ by {difference:.3f} points on average from the shipped surrogate"
    )


@app.command("import")
@guarded
def import_archive(
    archive: Annotated[Path, typer.Argument(help="anb_dataset_jsons.tar.gz, or a folder of its JSON files.")],
    splits: Annotated[
        Path | None, typer.Option(help="The folder of train_paths.json, val_paths.json and test_paths.json.")
    ] = None,
    out: Annotated[Path, typer.Option(help="The table to write.")] = Path("trained_networks.csv"),
) -> None:
    """Make the table of measured networks from Accel-NASBench's own archive of JSON files.

    Examples:
      nas surrogate import ARCHIVE --out measured.csv
    """
    from nas.cli.display.output import make_console, say
    from nas.core.files import write_whole
    from nas.evaluate.imagenet.archive import read_archive

    text = read_archive(archive, splits)
    write_whole(out, text)
    console = make_console()
    say(console, f"Written  {out}: {text.count(chr(10)) - 1:,} networks")
    say(console, f"Next     nas surrogate fit --data {out}")
