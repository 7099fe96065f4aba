"""The first phase of ``nas make``: a search whose epochs and trials fit the time, with confirmation and control."""

from __future__ import annotations

import math
from contextlib import suppress
from pathlib import Path
from typing import Any

from nas.core.callback import Callback
from nas.core.documents import to_yaml
from nas.core.errors import InputError
from nas.core.files import write_whole
from nas.core.records import Architecture
from nas.core.statistics import smallest_visible_difference
from nas.evaluate.data.image_data import ImageData
from nas.evaluate.data.load import load_data
from nas.evaluate.proxy.evaluator import ProxyEvaluator, choose_device
from nas.make.config import MakeConfig
from nas.make.folder import SEARCH, SPACE, MakeFolder
from nas.make.plan import CONFIRM_FACTOR, Plan, make_plan
from nas.scale.find_network import find_network
from nas.scale.stock import fit_to_limits
from nas.search import session
from nas.search.assemble import Setup, prepare
from nas.search.baseline import CONTROL_NETWORK, DEFAULT_NETWORK
from nas.search.callback import SearchCallback
from nas.search.config import OPEN_ENDED, RunConfig, validate_config, with_absolute_paths
from nas.search.control import default_network, limits_of, stock_costs
from nas.search.result import Result
from nas.search_spaces.image_space import image_space_form
from nas.search_spaces.network import Network
from nas.training.recipe import SMALL_IMAGES, load_recipe, make_recipe, most_epochs_for

_SMALLEST_BATCH, _LARGEST_BATCH = 16, 64
_FIRST_ROUND = 0.6  # of the confirmation's time: after that, a further round would take too long
_STEPS = 12  # an epoch of a proxy has at least about this many steps
_COARSE = 0.25  # a folder whose test images cannot show such a difference says nothing


def run_search(folder: MakeFolder, callback: SearchCallback) -> Result:
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


def choose_network(folder: MakeFolder, result: Result) -> tuple[Network, str]:
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
        "warm_start": _earlier_run(config),
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
    most_epochs = most_epochs_for(make_recipe(load_recipe(SMALL_IMAGES), SMALL_IMAGES), len(images.train.labels))
    plan = make_plan(folder.left_s, epoch_s, 1 if alone else max(1, setup.worker_count), most_epochs)
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


def _earlier_run(config: MakeConfig) -> str | None:
    """Return the run from which the search starts: of a folder of ``nas make``, its search."""
    if config.warm_start is None:
        return None
    own = Path(config.warm_start) / SEARCH
    return str(own) if own.is_dir() else config.warm_start


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
    limits, network = limits_of(setup), default_network(setup)
    if network is None:
        raise InputError(f"--space: nas make needs a space of stage tables; '{setup.space.name}' has none")
    if limits is not None:
        with suppress(InputError):  # its latency is not known, or it does not fit; the plan is then a rougher guess
            network = fit_to_limits(network, network.resolution, limits, stock_costs(setup)).network
    evaluator = setup.recipe.make(images)
    assert isinstance(evaluator, ProxyEvaluator)
    return evaluator.estimate(Architecture(setup.space.name, ()), network)["seconds"]
