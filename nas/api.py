"""The interface for scripts and notebooks: ``nas.search``, ``nas.scale``, ``nas.load``.

Examples:
    >>> import nas
    >>> result = nas.search(target_flops="400M", trials=40, out="runs/example", quiet=True)
    >>> 360e6 <= result.macs <= 400e6
    True
    >>> [member.network.name for member in nas.scale(result, phi=[1, 2])]
    ['example-baseline_phi1', 'example-baseline_phi2']
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nas.core.changes import nested
from nas.core.errors import InputError
from nas.core.files import expanded
from nas.core.records import Trial
from nas.core.user_code import trusted_run
from nas.results import Family, LoadedNetwork, SearchResult
from nas.scale.compound import Rule, official_scalings, phi_scaling
from nas.scale.family import make_family
from nas.scale.find_network import find_network
from nas.search.assemble import Setup
from nas.search.callback import SearchCallback, SearchState, trial_line
from nas.search.run_directory import Run
from nas.search_spaces.network import Network


class PrintCallback(SearchCallback):
    """Prints messages, and each trial that is the best so far or failed, as plain lines.

    Args:
        quiet: print only warnings, to standard error.
    """

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._state: SearchState | None = None

    def message(self, text: str) -> None:
        """Print a message."""
        if not self._quiet:
            print(text)

    def warning(self, text: str) -> None:
        """Print a warning."""
        print(f"warning: {text}", file=sys.stderr if self._quiet else sys.stdout)

    def search_prepared(self, setup: Setup, run: Run) -> None:
        """Print the space, the controller and the run's directory."""
        self.message(f"Search   {setup.space.name} by {setup.config.controller['name']}, kept in {run.path}")

    def trials_started(self, state: SearchState) -> None:
        """Keep the state, whose tally holds the best trial."""
        self._state = state

    def trial_finished(self, trial: Trial, details: str) -> None:  # noqa: ARG002 (it is in the log)
        """Print a trial's line, if it is the best so far or failed."""
        is_best = self._state is not None and self._state.tally.best is trial
        if is_best or trial.status == "failed":
            self.message(trial_line(trial))

    def search_interrupted(self, run: Run, best: Trial | None) -> None:
        """Print how many trials are saved, where they are saved, and the best of them."""
        shown = "" if best is None else f"; best so far: {trial_line(best)}"
        self.message(f"Interrupted; {len(run.trials)} finished trials are saved in {run.path}{shown}")


def search(
    target_flops: str | float | None = None,
    *,
    space: str | None = None,
    data: str | Path | None = None,
    trials: int | None = None,
    controller: str | None = None,
    evaluator: str | None = None,
    config: str | Path | None = None,
    seed: int | None = None,
    workers: int | None = None,
    out: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    quiet: bool = False,
    callbacks: Sequence[SearchCallback] = (),
) -> SearchResult:
    """Search for a network, as ``nas search`` does.

    Args:
        target_flops: target T in MACs: ``"400M"`` or a number.
        space: a shipped space, FILE.yaml or FILE.py:Class.
        data: images to train on: a name, a folder or a zip; if not given, ImageNet accuracy is predicted.
        trials: number of trials.
        controller: the controller that proposes architectures: a name or FILE.py:Class.
        evaluator: the evaluator that scores architectures: a name or FILE.py:Class.
        config: a shipped configuration or a YAML file; the other arguments override it.
        seed: random seed; the same seed gives the same result.
        workers: number of Ray workers; 0 runs the trials in this process.
        out: the run's directory (default: ``runs/SPACE-TIME``).
        settings: other keys of the configuration, in dotted form: ``{"evaluator.epochs": 5}``.
        quiet: print only warnings, to standard error.
        callbacks: objects that observe the search, of subclasses of ``nas.SearchCallback``.

    Raises:
        InputError: for a mistake in the arguments, before any work starts.
        WorkError: if the work fails; finished trials are kept.
        KeyboardInterrupt: after saving; ``nas search --resume`` resumes the run.

    Examples:
        >>> import nas
        >>> nas.search(target_flops="1K")
        Traceback (most recent call last):
        nas.core.errors.InputError: ...
    """
    from nas.report.page import draw_report
    from nas.search.config import load_config, with_absolute_paths
    from nas.search.session import begin
    from nas.tracking.wandb_run import WandbCallback

    if not isinstance(settings, Mapping | None) or not all(isinstance(key, str) for key in settings or {}):
        raise InputError(f"settings: expected a mapping such as {{'evaluator.epochs': 5}}, got {settings!r}")
    arguments = {
        "objective.target_flops": target_flops,
        "space": space,
        "data.source": None if data is None else str(data),
        "trials": trials,
        "controller.name": controller,
        "evaluator.name": evaluator,
        "seed": seed,
        "workers.count": workers,
    }
    given = {key: value for key, value in arguments.items() if value is not None} | dict(settings or {})
    loaded = load_config(None if config is None else str(config), nested(given), ())
    lines = PrintCallback(quiet)
    with WandbCallback(lines) as wandb:
        run, baseline = begin(
            with_absolute_paths(loaded), None if out is None else expanded(out), [lines, wandb, *callbacks]
        )
        if run.config.report:
            with trusted_run():  # the user's own
                draw_report(run.path, lines)
    lines.message(f"Baseline {trial_line(baseline.trial)}")
    return SearchResult(run.path)


def scale(
    thing: SearchResult | LoadedNetwork | Network | str | Path,
    *,
    phi: float | Sequence[float] | None = None,
    official: str | None = None,
    alpha: float = 1.2,
    beta: float = 1.1,
    gamma: float = 1.15,
) -> Family:
    """Expand a network into a family by compound scaling (EfficientNet, equation 3).

    Args:
        thing: a result of ``search``, a network, or anything that ``load`` accepts.
        phi: compound coefficients; a negative coefficient gives a smaller network.
        official: members with the released coefficients, instead of ``phi``: ``"b1..b7"``.
        alpha: base of the depth factor alpha^phi.
        beta: base of the width factor beta^phi.
        gamma: base of the resolution factor gamma^phi.

    Raises:
        InputError: if neither or both of ``phi`` and ``official`` are given, or a table is impossible.

    Examples:
        >>> import nas
        >>> family = nas.scale("efficientnet_b0", official="b1")
        >>> family[0].network.resolution
        240
    """
    network = _network(thing)
    if official is not None and (alpha, beta, gamma) != (1.2, 1.1, 1.15):
        raise InputError("scale: official members have coefficients of their own; leave alpha, beta and gamma out")
    if (phi is None) == (official is None):
        raise InputError("scale: give either phi=[0.5, 1, 2] or official='b1..b7'")
    rule = Rule(alpha, beta, gamma)
    if official is not None:
        scalings = list(official_scalings(official, network.name, network.resolution))
    else:
        scalings = [phi_scaling(value, network.name, rule) for value in _coefficients(phi)]
    return Family(tuple(make_family(network, scalings, rule)))


def _coefficients(phi: Any) -> list[float]:
    """Return compound coefficients, given as one number or several, as a list.

    Raises:
        InputError: if they are not numbers, or there are none.
    """
    try:
        values = [float(value) for value in (phi if isinstance(phi, Iterable) and not isinstance(phi, str) else [phi])]
    except (TypeError, ValueError):
        values = []
    if not values:
        raise InputError(f"scale: phi: expected a number or several, such as [0.5, 1, 2], got {phi!r}")
    return values


def load(thing: str | Path) -> SearchResult | LoadedNetwork:
    """Load a run's directory, a training's folder, a network's YAML file, or a reference network by name.

    Raises:
        InputError: if there is no such run or network.

    Examples:
        >>> import nas
        >>> nas.load("efficientnet_b0").macs
        385814752
    """
    path = expanded(thing)
    if (path / "config.yaml").is_file():
        return SearchResult(path)
    return LoadedNetwork(find_network(str(thing)), str(thing))


def _network(thing: SearchResult | LoadedNetwork | Network | str | Path) -> Network:
    if isinstance(thing, SearchResult):
        if thing.network is None:
            raise InputError(f"scale: the run '{thing.path}' has no stage table to scale, or has not ended")
        return thing.network
    if isinstance(thing, LoadedNetwork):
        return thing.network
    return thing if isinstance(thing, Network) else find_network(str(thing))
