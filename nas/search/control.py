"""The control of a search: stock networks scaled to its budget, trained and scored exactly as its own networks are.

A search has to say whether its network is better than what the person would have used without it. So stock networks,
and the space's own default architecture, are scaled to the same limits and trained by the same proxy, with the same
seeds. The best of them by validation accuracy is compared with the search's baseline on the test images, which neither
of them was chosen by.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from nas.core.callback import Callback
from nas.core.errors import InputError
from nas.core.journal import read_rows
from nas.core.records import Architecture, Trial
from nas.core.units import format_quantity
from nas.evaluate.contract import Job
from nas.evaluate.cost.latency.device import TableDevice
from nas.evaluate.objective.limits import Limit, Limits
from nas.evaluate.workers.jobs import PoolStarter
from nas.evaluate.workers.training_journal import Row, Training, TrainingJournal, outcome
from nas.scale.stock import StockNetwork, exact_costs, fit_to_limits, stock_networks
from nas.search.asha import rung_cycles
from nas.search.assemble import Setup
from nas.search.inputs import code_version
from nas.search.run_directory import Run
from nas.search_spaces import space as spaces
from nas.search_spaces.network import Network

JOURNAL = "control.jsonl"
STOCK_SPACE = "stock"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Control:
    """The stock networks of a search, and what was measured of them.

    Attributes:
        networks: the stock networks scaled to the limits.
        refused: by name, why others could not be scaled to them.
        accuracies: validation accuracy of each trained network by its name, a fraction; ``None`` if it failed.
        errors: by name, why a training failed.
        no_time: names of the networks for which the time budget left no time.
    """

    networks: Sequence[StockNetwork]
    refused: Mapping[str, str]
    accuracies: Mapping[str, float | None]
    errors: Mapping[str, str]
    no_time: Sequence[str] = ()

    @property
    def stock(self) -> list[StockNetwork]:
        """The stock networks that were trained without a fault, by decreasing validation accuracy."""
        known = [one for one in self.networks if self.accuracies.get(one.name) is not None and not one.is_default]
        return sorted(known, key=lambda one: -(self.accuracies[one.name] or 0.0))

    @property
    def default(self) -> StockNetwork | None:
        """The space's default architecture; ``None`` if it was not trained."""
        known = (one for one in self.networks if one.is_default and self.accuracies.get(one.name) is not None)
        return next(known, None)


def has_control(setup: Setup) -> bool:
    """Return whether a search trains a control: if it trains networks on images, and is not told otherwise."""
    config = setup.config
    trains = setup.evaluator.needs_data and setup.evaluator.can_test and config.scaling is None
    trains = trains and setup.recipe.shared is None  # a supernet holds no weights of stock networks
    return config.control.enabled and trains and not setup.evaluator.reads_genes


def limits_of(setup: Setup, baseline: Trial | None = None) -> Limits | None:
    """Return the limits that stock networks are scaled to: those of the search, else the MACs of its baseline.

    ``None`` if there is neither.
    """
    if setup.limits:
        return setup.limits
    macs = setup.config.objective.target_flops or (baseline.metrics.get("macs") if baseline else None)
    return Limits((Limit("macs", float(macs), flag=f"{format_quantity(macs)} MACs"),)) if macs else None


def stock_of(setup: Setup, limits: Limits) -> tuple[list[StockNetwork], dict[str, str]]:
    """Return the stock networks scaled to limits, and by name why others cannot be.

    The architecture with the middle option of every gene is one of them, if the space has stage tables.
    """
    pattern = default_network(setup)
    resolution = pattern.resolution if pattern else _resolution(setup)
    classes = pattern.classes if pattern else 1000
    costs = stock_costs(setup)
    proxy = setup.config.proxy
    enlarges = proxy is None or proxy.reference_resolution is not None  # else all networks train at one resolution
    names = setup.config.control.networks
    found, refused = stock_networks(names, resolution, classes, limits, costs, enlarges)
    if pattern is not None:
        try:
            found.insert(1, replace(fit_to_limits(pattern, resolution, limits, costs), is_default=True))
        except InputError as error:
            refused[pattern.name] = str(error)
    return found, refused


def default_network(setup: Setup) -> Network | None:
    """Return the network of the middle option of every gene; ``None`` for spaces without stage tables."""
    genes = tuple(int(count) // 2 for count in setup.space.gene_sizes)
    try:
        network = spaces.decode(setup.space, Architecture(setup.space.name, genes))
    except InputError:
        return None
    return None if network is None else replace(network, name=f"{setup.space.name} default")


def train_control(
    setup: Setup,
    run: Run,
    pool: PoolStarter | None,
    callback: Callback,
    limits: Limits | None,
    seconds: float = math.inf,
) -> Control | None:
    """Train the stock networks once each. Trainings that an earlier process finished are not repeated.

    Args:
        setup: the parts of the run.
        run: the run directory.
        pool: returns the workers; ``None``: only finished trainings are used.
        callback: receives a message after each training.
        limits: the limits to scale to; ``None``: there is no control yet.
        seconds: wall-clock seconds after which no further training begins; at least one wave is trained.

    Returns:
        The control; ``None`` if there is none.
    """
    if limits is None or not has_control(setup):
        return None
    networks, refused = stock_of(setup, limits)
    journal = control_journal(run)
    done = [one for one in networks if journal.row_of(training(setup, one.label, one.network, 0))]
    left = [one for one in networks if one not in done] if pool is not None else []
    words = {one.label: one.words for one in networks}

    def ended(row: Row, left: int) -> None:  # noqa: ARG001
        callback.message(f"control  {words[row['network']]}: {outcome(row)}  ({row['seconds']:.1f} s)")

    begun = time.monotonic()
    while left and pool is not None and (not done or time.monotonic() - begun < seconds):
        wave, left = left[: pool().capacity], left[pool().capacity :]
        journal.run(numbered([training(setup, one.label, one.network, 0) for one in wave]), pool, ended)
        done += wave
    if left and seconds:
        callback.message(f"control  no time for {', '.join(one.name for one in left)}")
    networks = [one for one in networks if one in done]
    rows = {one.name: journal.row_of(training(setup, one.label, one.network, 0)) or {} for one in networks}
    for name, reason in refused.items():
        _log.info("control: %s is left out: %s", name, reason)
    return Control(
        networks,
        refused,
        {name: row.get("accuracy") for name, row in rows.items()},
        {name: str(row["error"]) for name, row in rows.items() if row.get("error")},
        [one.name for one in left],
    )


def training(
    setup: Setup, name: str, network: Network | None, number: int, architecture: Architecture | None = None
) -> Training:
    """Return a training of the control: the whole schedule of a trial, by the seed of round ``number``.

    It is scored on the validation and the test images. The seed is the same for all networks of a round.
    """
    sequence = np.random.SeedSequence([setup.config.seed, 5, number])
    one = architecture or Architecture(STOCK_SPACE, ())
    seed = int(sequence.generate_state(1)[0])
    job = Job(0, one, network, seed, "test", rung_cycles(setup.config.rungs))
    return Training({"network": name, "round": number}, job)


def control_journal(run: Run) -> TrainingJournal:
    """Return the journal of a run's control trainings."""
    return TrainingJournal(
        run.path / JOURNAL,
        ["network", "round"],
        of=code_version(run.path),
        images=None if run.images is None else run.images.digest,
        resume=run.resume_command,
    )


def control_seconds(run: Path, before_search: bool = False) -> float:
    """Return the seconds of a run's control trainings so far; of those before the search alone, if asked."""
    rows = [row for row in read_rows(run / JOURNAL) if not before_search or row.get("round") == 0]
    return sum(float(row.get("seconds", 0.0)) for row in rows)


def stock_costs(setup: Setup) -> Callable[[Network], Mapping[str, float]]:
    """Return the function that gives the costs of a network outside the space, with its latency if a table has it."""
    device = setup.costs.device
    if device is None:
        return exact_costs
    if isinstance(device, TableDevice):
        table = device.table
        return lambda network: {**exact_costs(network), "latency_ms": table.predict_ms(network)}
    return exact_costs  # devices of the surrogate know only its own networks; a limit on their speed refuses the others


def _resolution(setup: Setup) -> int:
    return int(getattr(setup.space, "resolution", None) or setup.config.data.resolution)


def numbered(trainings: Sequence[Training]) -> list[Training]:
    """Return trainings with different job numbers."""
    return [replace(one, job=replace(one.job, number=place)) for place, one in enumerate(trainings)]
