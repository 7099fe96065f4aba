"""``nas search``: find a baseline."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from nas.cli import completion
from nas.cli.display.output import Quiet
from nas.cli.guard import guarded

_RESUMABLE = ("trials", "budget", "confirm", "wandb", "report", "workers", "gpus_per_worker", "train_device", "address")
_SEARCH, _WHERE, _RUN = "What to search", "Where trials run", "The run"


@guarded
def search(
    config: Annotated[
        str | None,
        typer.Option(
            help="A shipped configuration or a YAML file (default: default).",
            rich_help_panel=_RUN,
            autocompletion=completion.configurations,
        ),
    ] = None,
    target_flops: Annotated[
        str | None,
        typer.Option(help="Budget in MACs at the deployment resolution: 400M, 0.4G, 4e8.", rich_help_panel=_SEARCH),
    ] = None,
    space: Annotated[
        str | None,
        typer.Option(
            help="A shipped space, FILE.yaml or FILE.py:Class.",
            rich_help_panel=_SEARCH,
            autocompletion=completion.spaces,
        ),
    ] = None,
    controller: Annotated[
        str | None,
        typer.Option(
            help="Who proposes; see: nas controllers.",
            rich_help_panel=_SEARCH,
            autocompletion=completion.controllers,
        ),
    ] = None,
    evaluator: Annotated[
        str | None,
        typer.Option(
            help="Who scores; see: nas evaluators; or FILE.py:Class.",
            rich_help_panel=_SEARCH,
            autocompletion=completion.evaluators,
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="Images to train on: a name (see: nas data list), or a folder or zip.",
            rich_help_panel=_SEARCH,
            autocompletion=completion.data,
        ),
    ] = None,
    tolerance: Annotated[
        str | None,
        typer.Option(
            help="Only networks from (1 - X) times the target up to it; none lifts the band.", rich_help_panel=_SEARCH
        ),
    ] = None,
    max_params: Annotated[
        str | None, typer.Option(help="Only networks with at most so many params: 5M.", rich_help_panel=_SEARCH)
    ] = None,
    max_memory: Annotated[
        str | None,
        typer.Option(
            help="Only networks whose float32 weights and activations (one image) fit in: 20MB.",
            rich_help_panel=_SEARCH,
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            help="Whose speed is predicted: a100, 3090, tpuv2, tpuv3, zcu102, vck190, or a latency table's FILE.json.",
            rich_help_panel=_SEARCH,
        ),
    ] = None,
    target_latency: Annotated[
        str | None,
        typer.Option(help="Latency on the device as a cost in the reward, with a band: 3ms.", rich_help_panel=_SEARCH),
    ] = None,
    max_latency: Annotated[
        str | None, typer.Option(help="Only networks at most so slow on the device: 3ms.", rich_help_panel=_SEARCH)
    ] = None,
    min_throughput: Annotated[
        str | None,
        typer.Option(help="Only networks with at least so many images a second: 8000.", rich_help_panel=_SEARCH),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            help="Shape the space for hardware: edge-int8, mobile or gpu.",
            rich_help_panel=_SEARCH,
            autocompletion=completion.presets,
        ),
    ] = None,
    constraint: Annotated[
        str | None, typer.Option(help="Reward: soft (alpha = beta = -0.07) or hard (0, -1).", rich_help_panel=_SEARCH)
    ] = None,
    alpha: Annotated[
        float | None, typer.Option(help="Exponent of MACs/target at or below the target.", rich_help_panel=_SEARCH)
    ] = None,
    beta: Annotated[float | None, typer.Option(help="Exponent above the target.", rich_help_panel=_SEARCH)] = None,
    trials: Annotated[int | None, typer.Option(help="Finished trials of any status.", rich_help_panel=_SEARCH)] = None,
    seed: Annotated[int | None, typer.Option(help="One seed, one result.", rich_help_panel=_SEARCH)] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            help="Ray workers; 0 runs in this process (default: one a core, at most 8; 0 where nothing is trained).",
            rich_help_panel=_WHERE,
        ),
    ] = None,
    gpus_per_worker: Annotated[
        float | None, typer.Option(help="GPU share of each worker, such as 0.25.", rich_help_panel=_WHERE)
    ] = None,
    train_device: Annotated[str | None, typer.Option(help="auto, cpu or cuda.", rich_help_panel=_WHERE)] = None,
    address: Annotated[
        str | None,
        typer.Option(help="Join a running Ray cluster: auto, host:port; local starts one.", rich_help_panel=_WHERE),
    ] = None,
    warm_start: Annotated[
        Path | None,
        typer.Option(help="An earlier run's folder: begin with what its trials came to.", rich_help_panel=_SEARCH),
    ] = None,
    fidelity: Annotated[
        str | None,
        typer.Option(
            help="full: all are trained alike; asha: most for a few epochs, the best for all.", rich_help_panel=_SEARCH
        ),
    ] = None,
    confirm: Annotated[
        int | None,
        typer.Option(
            help="Train the K best again, longer and from other seeds, and K others, before the winner is named.",
            rich_help_panel=_SEARCH,
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(help="Stop after 2h, or after 24gpuh (cpuh) of all workers together.", rich_help_panel=_SEARCH),
    ] = None,
    deterministic: Annotated[
        bool | None,
        typer.Option(
            "--deterministic",
            help="Proposals depend only on trial numbers, with any number of workers.",
            rich_help_panel=_WHERE,
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The run's folder (default: runs/SPACE-TIME).", rich_help_panel=_RUN)
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Go on with a run's folder; a larger --trials extends it.", rich_help_panel=_RUN)
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", help="key.path=value of the configuration; repeatable.", rich_help_panel=_RUN),
    ] = None,
    wandb: Annotated[
        bool | None,
        typer.Option(
            "--wandb", help="Log to Weights & Biases; offline without a key or a network.", rich_help_panel=_RUN
        ),
    ] = None,
    report: Annotated[
        bool | None,
        typer.Option("--report/--no-report", help="Draw report.html at the end (default: yes).", rich_help_panel=_RUN),
    ] = None,
    quiet: Quiet = False,  # noqa: ARG001 (heard by its callback)
) -> None:
    """Search for a network: propose, score, repeat; ends with a baseline and its Pareto front.

    Networks are trained on --data; without, their ImageNet accuracy is predicted.

    Examples:
      nas search --target-flops 400M

      nas search --config digits

      nas search --target-flops 400M --data DIR --trials 100

      nas search --resume runs/NAME --trials 200
    """
    from nas.cli import search_run
    from nas.core.errors import InputError

    changes: dict[str, Any] = {
        "objective.target_flops": target_flops,
        "space": space,
        "preset": preset,
        "controller.name": controller,
        "warm_start": None if warm_start is None else str(warm_start),
        "evaluator.name": evaluator,
        "data.source": data,
        "objective.tolerance": tolerance,
        "objective.limits.params": max_params,
        "objective.limits.memory_bytes": max_memory,
        "objective.device": device,
        "objective.target_latency": target_latency,
        "objective.limits.latency_ms": max_latency,
        "objective.min_throughput": min_throughput,
        "objective.constraint": constraint,
        "objective.alpha": alpha,
        "objective.beta": beta,
        "trials": trials,
        "seed": seed,
        "report": report,
        "tracking.wandb": wandb,
        "fidelity.method": fidelity,
        "confirm.candidates": confirm,
        "budget": budget,
        "workers.count": workers,
        "workers.gpus_per_worker": gpus_per_worker,
        "workers.train_device": train_device,
        "workers.address": address,
        "workers.deterministic": deterministic,
    }
    if resume is None:
        search_run.start(config, changes, assignments or [], out)
        return
    given = {key for key, value in changes.items() if value is not None}
    flags = {"config": config, "out": out, "--set": assignments}
    allowed = {
        "trials",
        "budget",
        "confirm.candidates",
        "report",
        "tracking.wandb",
        *(f"workers.{name}" for name in ("count", "gpus_per_worker", "train_device", "address")),
    }
    wrong = sorted(given - allowed) + [name for name, value in flags.items() if value]
    if wrong:
        raise InputError(
            "--resume: a run goes on as it was configured; it takes only "
            f"--{', --'.join(_RESUMABLE).replace('_', '-')}, not {', '.join(wrong)}"
        )
    search_run.resume(resume, {key: value for key, value in changes.items() if value is not None})
