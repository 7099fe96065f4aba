"""The reliability of inherited weights: does a supernet rank networks as training them alone does?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nas.core.callback import SILENT, Callback
from nas.core.documents import read_mapping
from nas.core.errors import InputError
from nas.core.records import Architecture
from nas.evaluate.contract import Job
from nas.evaluate.supernet.file import supernet_file
from nas.evaluate.workers.jobs import PoolStarter
from nas.evaluate.workers.training_journal import Row, Training, TrainingJournal, digest, outcome
from nas.search.assemble import Setup
from nas.search.shared_weights import read_about
from nas.search_spaces import space as spaces
from nas.studies.proxy_ranking import JOURNAL, Trust, judge

_KIND = "supernet"


def proxy_changes(reference: str) -> dict[str, Any]:
    """Return the changes to a configuration of short trainings that give it a supernet's space, images and limits.

    Raises:
        InputError: if there is no such supernet, or it has a lower limit on another cost than the MACs.
    """
    weights = read_about(reference)
    objective: dict[str, Any] = {"limits": {}}
    for metric, (low, high) in weights.limits.items():
        if metric == "macs" and low and high:
            objective |= {"target_flops": high, "tolerance": 1 - low / high}
        elif high is not None and not low:
            objective["limits"][metric] = high
        else:
            raise InputError(
                f"--supernet: its limits on {metric} cannot be those of a search; train it by --target-flops"
            )
    return {"space": weights.reference, "data": dict(weights.data), "objective": objective}


def measure_inherited(
    setup: Setup,
    networks: Sequence[Architecture],
    longer: Sequence[Mapping[str, Any]],
    folder: Path,
    pool: PoolStarter,
    images: str | None = None,
    callback: Callback = SILENT,
) -> Trust:
    """Score networks with inherited weights, and compare their ranking with that of longer trainings.

    Args:
        setup: the parts of a search with the supernet.
        networks: the genotypes.
        longer: lines of the longer trainings, from ``longer_rows``.
        folder: folder of the journal.
        pool: returns the workers of the search with the supernet.
        images: digest of the images and their split.
        callback: receives a message after each network.

    Returns:
        The statistics, in which the inherited accuracies stand for those of the proxy.

    Raises:
        WorkError: if fewer than three networks have both accuracies.
    """
    file = supernet_file(str(setup.config.evaluator_options[_KIND]))
    of = digest(setup.space.name, setup.config.evaluator_options, file.stat().st_mtime_ns)
    journal = TrainingJournal(folder / JOURNAL, ["kind", "genes"], of, images)

    def ended(row: Row, left: int) -> None:
        callback.message(f"supernet  {outcome(row)}  ({row['seconds']:.1f} s, {left} to go)")

    jobs = [
        Training(
            {"kind": _KIND, "genes": list(architecture.genes)},
            Job(number, architecture, spaces.decode(setup.space, architecture), seed=0),
        )
        for number, architecture in enumerate(networks)
    ]
    rows = [row for row in journal.run(jobs, pool, ended) if row["accuracy"] is not None]
    return judge([*({**row, "kind": "proxy"} for row in rows), *longer])


def training_seconds(reference: str) -> float | None:
    """Return the seconds that the training of a supernet took; ``None`` if they are not known."""
    result = read_mapping(supernet_file(reference).parent / "result.json")
    return float(result["seconds"]) if "seconds" in result else None
