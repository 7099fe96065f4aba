"""The phases of ``nas make``: search with confirmation, full training, export, page. It prints nothing."""

from __future__ import annotations

import shlex
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from nas.core.callback import Callback
from nas.core.errors import InputError
from nas.core.files import write_whole
from nas.core.program import program
from nas.core.units import format_duration
from nas.evaluate.data.load import find_source
from nas.evaluate.data.sides import typical_side
from nas.export.card import model_card
from nas.export.export import CARD, export
from nas.make.callback import MakeCallback, TimedCallback
from nas.make.config import DEVICES, MakeConfig, sensible_resolution
from nas.make.folder import EXPORTED, SEARCH, TRAINED, MakeFolder, TimeKeeper
from nas.make.searching import choose_network, run_search
from nas.make.training import Stopping, run_full_training
from nas.report.make_page import write_make_page
from nas.search.result import Result
from nas.training.run import TrainingRun
from nas.weights.find import weights_or_initial

_FORMATS = ("onnx", "py", "yaml")


@dataclass(frozen=True)
class Made:
    """The end of ``nas make``.

    Attributes:
        folder: its folder.
        result: the content of ``result.json``.
        files: the files for the user.
    """

    folder: Path
    result: dict[str, Any]
    files: Sequence[Path]


def begin(config: MakeConfig, out: Path, callback: MakeCallback, stopping: Stopping) -> Made:
    """Make a network.

    Args:
        config: the configuration.
        out: the folder, which must be empty or absent.
        callback: receives what happens.
        stopping: makes the context in which the full training runs; its value returns whether to save and stop now.

    Raises:
        InputError: for a mistake in the input, before any work.
        WorkError: if the work fails; what is finished is kept.
        KeyboardInterrupt: if it was interrupted, after saving.
    """
    start = time.monotonic()
    config = with_budget(config)
    source = find_source(config.data.source)
    target = config.objective.target_flops
    resolution = config.resolution or sensible_resolution(typical_side(source), target)
    data = config.data.model_copy(update={"resolution": resolution})
    config = config.model_copy(update={"data": data, "resolution": resolution})
    folder = MakeFolder.create(out, config)
    folder.before_s = time.monotonic() - start
    try:
        return _run(folder, callback, stopping)
    except InputError:
        if not (out / SEARCH).exists():  # nothing has been done yet
            shutil.rmtree(out, ignore_errors=True)
        raise


def resume(path: Path, callback: MakeCallback, stopping: Stopping) -> Made:
    """Go on with an interrupted ``nas make``.

    Raises:
        InputError: if there is none, or its images have changed.
        WorkError, KeyboardInterrupt: as ``begin``.
    """
    folder = MakeFolder.open(path)
    callback.message(
        f"Resuming {path}: {format_duration(folder.seconds)} of {folder.config.minutes:g} minutes are used"
    )
    return _run(folder, callback, stopping)


def with_budget(config: MakeConfig) -> MakeConfig:
    """Return a configuration with the budget of its device class, if it names no other.

    Raises:
        InputError: if it has neither.
    """
    objective = config.objective
    if objective.target_flops or objective.target_latency or objective.limits or objective.min_throughput:
        return config
    if config.device_class is None:
        budgets = ", ".join(f"{name} ({values['target_flops']})" for name, values in DEVICES.items())
        raise InputError(
            f"make: what may the network cost? Give --target-flops 20M (or --max-latency, --max-params), or --for one "
            f"of {budgets} MACs"
        )
    values = {**objective.model_dump(mode="json"), **DEVICES[config.device_class]}
    return config.model_copy(update={"objective": type(objective).model_validate(values)})


def _run(folder: MakeFolder, callback: MakeCallback, stopping: Stopping) -> Made:
    callbacks = TimedCallback(callback, TimeKeeper(folder))
    try:
        result = run_search(folder, callbacks)
        return _after_search(folder, result, callbacks, stopping)
    finally:
        folder.save()


def _after_search(folder: MakeFolder, result: Result, callbacks: TimedCallback, stopping: Stopping) -> Made:
    network, choice = choose_network(folder, result)
    if choice != "search":
        callbacks.message(
            f"Chosen   {choice}: in the confirmation, its validation accuracy was higher than the search's"
        )
    run = run_full_training(folder, network, callbacks, stopping)
    exported = _export(folder, run, callbacks) if folder.config.export else []
    made = _conclude(folder, run, choice, result)
    page = write_make_page(folder.path, folder.path / SEARCH, folder.path / TRAINED, made)
    return Made(folder.path, made, [page, *exported, run.path / "weights.safetensors"])


def _export(folder: MakeFolder, run: TrainingRun, callback: Callback) -> list[Path]:
    """Export the trained network; an export that an earlier process finished is kept."""
    path = folder.path / EXPORTED
    card = path / CARD
    if card.is_file():
        return sorted(one for one in path.iterdir() if one.is_file())
    folder.clear_unfinished(EXPORTED, CARD)
    found, trained = weights_or_initial(str(run.path), None)
    network = found.network
    formats = [kind for kind in _FORMATS if kind != "onnx" or find_spec("onnx")]
    if len(formats) < len(_FORMATS):
        callback.message("onnx        left out: its library is not installed; pip install 'mnas[onnx]'")
    exported = export(network, found, formats, path, callback)
    command = shlex.join([program(), "export", str(run.path), *formats, "--out", str(path)])
    write_whole(card, model_card(str(run.path), found, trained, exported, command))
    return [*(one.path for one in exported), card]


def _conclude(folder: MakeFolder, run: TrainingRun, choice: str, searched: Result) -> dict[str, Any]:
    trained = run.result() or {}
    control = searched.control
    result = {
        "network": "search" if choice == "search" else "control",
        "name": choice if choice != "search" else trained["name"],
        "macs": trained["macs"],
        "params": trained["params"],
        "resolution": trained["resolution"],
        "accuracy": trained["accuracy"],
        "interval": trained["test_interval"],
        "test_images": trained["images"]["test"],
        "epochs": trained["epochs"],
        "control": None if control is None else control.model_dump(mode="json") | {"verdict": control.verdict},
        "trials": sum(searched.trials.values()),
        "minutes": folder.config.minutes,
        "seconds": {
            "search": folder.state.get("search_s"),
            "training": trained["seconds"],
            "all": round(folder.seconds, 1),
        },
    }
    folder.finish(result)
    return result
