"""The phases of ``nas make``: search with confirmation, full training, export, page. It prints nothing."""

from __future__ import annotations

import math
import shlex
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from nas.core.callback import Callback, CallbackList
from nas.core.documents import to_yaml
from nas.core.errors import InputError
from nas.core.files import write_whole
from nas.core.program import program
from nas.core.records import Architecture
from nas.core.statistics import smallest_visible_difference
from nas.core.units import format_duration
from nas.evaluate.data.image_data import ImageData
from nas.evaluate.data.load import find_source, load_data
from nas.evaluate.data.sides import typical_side
from nas.evaluate.proxy.evaluator import choose_device
from nas.export.card import model_card
from nas.export.export import CARD, export
from nas.make.config import DEVICES, MakeConfig, sensible_resolution
from nas.make.fitted_training import fitted_config
from nas.make.folder import EXPORTED, SEARCH, SPACE, TRAINED, MakeFolder, TimeKeeper
from nas.make.plan import CONFIRM_FACTOR, Plan, make_plan, reserve_s
from nas.report.make_page import write_make_page
from nas.scale.find_network import find_network
from nas.search import session
from nas.search.assemble import Setup, prepare
from nas.search.baseline import CONTROL_NETWORK, DEFAULT_NETWORK
from nas.search.callback import SearchCallback
from nas.search.config import OPEN_ENDED, RunConfig, validate_config, with_absolute_paths
from nas.search.control import default_network, limits_of
from nas.search.result import Result
from nas.search_spaces.image_space import image_space_form
from nas.search_spaces.network import Network
from nas.training.run import CONFIG as TRAIN_CONFIG
from nas.training.run import TrainingRun
from nas.training.session import load_images, prepare_training, run_training
from nas.weights.find import weights_or_initial

Stopping = Callable[[], AbstractContextManager[Callable[[], bool]]]
_SMALLEST_BATCH, _LARGEST_BATCH = 16, 64
_FIRST_ROUND = 0.6  # of the confirmation's time: after that, a further round would take too long
_STEPS = 12  # an epoch of a proxy has at least about this many steps
_FORMATS = ("onnx", "py", "yaml")
_COARSE = 0.25  # a folder whose test images cannot show such a difference says nothing


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
    callbacks = _Both(callback, TimeKeeper(folder))
    try:
        result = _search(folder, callbacks)
        return _after_search(folder, result, callbacks, stopping)
    finally:
        folder.save()


def _after_search(folder: MakeFolder, result: Result, callbacks: _Both, stopping: Stopping) -> Made:
    network, choice = _choose(folder, result)
    if choice != "search":
        callbacks.message(
            f"Chosen   {choice}: in the confirmation, its validation accuracy was higher than the search's"
        )
    run = _train(folder, network, callbacks, stopping)
    exported = _export(folder, run, callbacks) if folder.config.export else []
    made = _conclude(folder, run, choice, result)
    page = write_make_page(folder.path, folder.path / SEARCH, folder.path / TRAINED, made)
    return Made(folder.path, made, [page, *exported, run.path / "weights.safetensors"])


def _search(folder: MakeFolder, callback: _Both) -> Result:
    """Run the search to its end, or go on with it; a search that has ended is only read."""
    path = folder.path / SEARCH
    folder.clear_unfinished(SEARCH, "config.yaml")
    known = Result.read(path) if path.is_dir() else None
    if known is None or not known.ended:
        if path.is_dir():
            session.resume(path, {}, [callback])
        else:
            session.begin(_search_config(folder, callback), path, [callback])
        known = Result.read(path)
    assert known is not None
    folder.keep(search_s=folder.state.get("search_s", round(folder.seconds, 1)))
    return known


def _search_config(folder: MakeFolder, callback: Callback) -> RunConfig:
    """Return the configuration of the search: its space, and epochs and trials that fit the time."""
    config = folder.config
    images = load_data(config.data, callback.images_decoded)
    _check_size(images)
    if config.space is None:
        form = image_space_form(config.data.resolution, len(images.classes))
        write_whole(folder.path / SPACE, to_yaml(form))
    values: dict[str, Any] = {
        "space": config.space or str(folder.path.resolve() / SPACE),
        "trials": OPEN_ENDED,
        "seed": config.seed,
        "objective": _objective(config),
        "controller": {"name": "predictor"},
        "evaluator": {"name": "proxy", "batch_size": _batch_size(images), "epochs": 1},
        "data": config.data.model_dump(mode="json"),
        "workers": {} if config.workers is None else {"count": config.workers},
        "report": False,
    }
    setup = prepare(with_absolute_paths(validate_config(values, "nas make")))
    epoch_s = _epoch_s(setup, images)
    alone = choose_device("auto") == "cuda"  # workers that share a GPU are hardly faster together than one
    plan = make_plan(folder.left_s, epoch_s, 1 if alone else max(1, setup.worker_count))
    _tell(folder, plan, epoch_s, callback)
    values["evaluator"]["epochs"] = plan.epochs
    values["budget"] = f"{plan.search_s:.0f}s"
    values["expected_trials"] = plan.trials
    values["confirm"] = {
        "candidates": plan.candidates,
        "rounds": plan.rounds,
        "epochs": CONFIRM_FACTOR * plan.epochs,
        "seconds": plan.confirm_s * _FIRST_ROUND,
    }
    return with_absolute_paths(validate_config(values, "nas make"))


def _objective(config: MakeConfig) -> dict[str, Any]:
    """Return the objective of the search: inside the budget, accuracy alone counts, unless exponents are given."""
    values = config.objective.model_dump(mode="json")
    return values if values["alpha"] is not None else {**values, "alpha": 0.0}


def _tell(folder: MakeFolder, plan: Plan, epoch_s: float, callback: Callback) -> None:
    folder.keep(plan={"search_s": plan.search_s, "epochs": plan.epochs, "trials": plan.trials, "epoch_s": epoch_s})
    callback.message(f"Plan     {folder.config.minutes:g} minutes: {plan.words}")


def _check_size(images: ImageData) -> None:
    """Check that the test images can show a difference between two networks.

    Raises:
        InputError: naming the smallest difference that they can show, if none that matters.
    """
    count = len(images.test.labels)
    visible = smallest_visible_difference(count)
    if visible > _COARSE:
        raise InputError(
            f"data: {count} test images show only differences of {100 * visible:.0f} points and more between two "
            "networks, so no network can be chosen. Take more images, or a larger share of them for the test "
            "(--set data.test=0.4)"
        )


def _batch_size(images: ImageData) -> int:
    """Return a batch size that gives an epoch enough steps."""
    return int(min(_LARGEST_BATCH, max(_SMALLEST_BATCH, 2 ** math.floor(math.log2(len(images.train.labels) / _STEPS)))))


def _epoch_s(setup: Setup, images: ImageData) -> float:
    """Return the seconds of one epoch of the space's default network, scaled to the budget, by one worker."""
    from nas.evaluate.proxy.evaluator import ProxyEvaluator
    from nas.scale.stock import fit_to_limits
    from nas.search.control import stock_costs

    limits, network = limits_of(setup), default_network(setup)
    if network is None:
        raise InputError(f"--space: nas make needs a space of stage tables; '{setup.space.name}' has none")
    if limits is not None:
        with suppress(InputError):  # its latency is not known, or it does not fit; the plan is then a rougher guess
            network = fit_to_limits(network, network.resolution, limits, stock_costs(setup)).network
    evaluator = setup.recipe.make(images)
    assert isinstance(evaluator, ProxyEvaluator)
    return evaluator.estimate(Architecture(setup.space.name, ()), network)["seconds"]


def _choose(folder: MakeFolder, result: Result) -> tuple[Network, str]:
    """Return the network to train: of the search's, the best stock network and the space's default, the best.

    They are compared by the mean validation accuracy of their confirming trainings, if these are as many.
    """
    search = folder.path / SEARCH
    control, confirmed = result.control, result.confirmed
    if control is None or confirmed is None:
        return find_network(str(search)), "search"
    best, found, words = confirmed.accuracy, search, "search"
    rounds = max(len(one.accuracies) for one in confirmed.candidates)
    for one in control.networks:
        if (one.is_default or one.name == control.best) and len(one.confirmed) >= rounds:
            mean = sum(one.confirmed) / len(one.confirmed)
            if mean > best:
                best, words = mean, one.words
                found = search / (DEFAULT_NETWORK if one.is_default else CONTROL_NETWORK)
    return find_network(str(found)), words


def _train(folder: MakeFolder, network: Network, callback: _Both, stopping: Stopping) -> TrainingRun:
    """Train the network in the time that is left, or go on with its training."""
    path = folder.path / TRAINED
    folder.clear_unfinished(TRAINED, TRAIN_CONFIG)
    reserve = _reserve_s(folder)

    def is_due() -> bool:
        folder.note_time()
        return folder.left_s < reserve

    if (path / TRAIN_CONFIG).is_file():
        run = TrainingRun.open(path)
        if run.result() is not None:
            return run
        images = load_images(run.config, callback)
        run.check_images(images)
    else:
        thing, weighs = str((folder.path / SEARCH).resolve()), _weighs(folder)
        seconds = folder.left_s - reserve
        own = folder.config
        config = fitted_config(network, thing, own.data, own.seed, seconds, weighs, own.workers)
        callback.message(f"Training {config.recipe.epochs} epochs in {format_duration(max(0.0, seconds))}")
        prepared = prepare_training(network, config, path, callback)
        run, images = prepared.run, prepared.images
    run.lock()
    callback.training_started(run.config.recipe.epochs, run.history())
    try:
        with stopping() as is_over:
            run_training(run, images, callback, is_over, is_due)
    finally:
        callback.training_ended()
    return run


def _reserve_s(folder: MakeFolder) -> float:
    return reserve_s(60 * folder.config.minutes, folder.config.export)


def _weighs(folder: MakeFolder) -> bool:
    return folder.config.objective.metric in ("balanced_accuracy", "macro_f1")


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


class MakeCallback(SearchCallback):
    """Base class of the callbacks that observe ``nas make``. Every method does nothing by default."""

    def training_started(self, epochs: int, history: Sequence[Mapping[str, str]]) -> None:
        """Called before the full training runs, with its epochs and the rows of those that are done."""

    def training_ended(self) -> None:
        """Called when the full training has ended or was interrupted."""


class _Both(MakeCallback, CallbackList):
    """Passes every event on to the user's callback and to the one that keeps the time."""

    def __init__(self, user: MakeCallback, keeper: TimeKeeper) -> None:
        CallbackList.__init__(self, [user, keeper])
        self._user = user

    def training_started(self, epochs: int, history: Sequence[Mapping[str, str]]) -> None:
        """Pass the event on."""
        self._user.training_started(epochs, history)

    def training_ended(self) -> None:
        """Pass the event on."""
        self._user.training_ended()

    def search_prepared(self, *arguments: Any) -> None:
        """Pass the event on."""
        self._user.search_prepared(*arguments)

    def trials_started(self, *arguments: Any) -> None:
        """Pass the event on."""
        self._user.trials_started(*arguments)

    def trials_ended(self) -> None:
        """Pass the event on."""
        self._user.trials_ended()

    def search_interrupted(self, *arguments: Any) -> None:
        """Pass the event on."""
        self._user.search_interrupted(*arguments)
