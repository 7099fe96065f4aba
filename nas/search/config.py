"""A run's configuration: a YAML file, overridden by flags, and both overridden by ``--set key.path=value``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from nas.controllers.registry import check_options
from nas.core.changes import Changes, laid_over, with_assignments
from nas.core.documents import parse_yaml, read_yaml
from nas.core.errors import InputError, nearest_name
from nas.core.files import absolute_path, expanded
from nas.core.flag import RUN, Flag
from nas.core.section import Section, validated
from nas.evaluate.data.load import absolute_data
from nas.evaluate.data.settings import DataSettings
from nas.evaluate.kinds import DEFAULT, EVALUATORS, EvaluatorKind, TableSettings, evaluator_kind
from nas.evaluate.proxy.settings import ProxySettings
from nas.evaluate.supernet.settings import SharedWeightsSettings
from nas.evaluate.workers.settings import WorkerSettings
from nas.scale.grid import ScalingGrid
from nas.search.asha import rung_cycles, rung_epochs
from nas.search.config_sections import (
    ConfirmationSettings,
    ControlSettings,
    FidelitySettings,
    ObjectiveSettings,
    TrackingSettings,
)
from nas.search.shared_weights import with_supernet
from nas.search.time_budget import TimeBudget
from nas.search_spaces.yaml_kinds import SEARCH, refuse_others

OPEN_ENDED = 1_000_000  # number of trials of a run that ends when its budget is used up
SECTIONS = ("objective", "controller", "evaluator", "data", "fidelity", "confirm", "control", "workers", "tracking")
METADATA = ("versions", "created", "images")  # keys of a run's config.yaml that are not part of its configuration
NAMED = {"controller": "predictor", "evaluator": DEFAULT}
"""The sections whose keys depend on their ``name``, with their default names."""


def _budget(value: str | None) -> str | None:
    try:
        return value if value is None else TimeBudget.parse(value).text
    except InputError as error:
        raise ValueError(str(error).removeprefix("budget: ")) from None


def _named(section: str) -> BeforeValidator:
    """Return a validator that adds the default ``name`` to a section without one.

    Raises:
        ValueError: from the validator, if the name is not text.
    """

    def complete(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        if not isinstance(name := value.get("name", NAMED[section]), str):
            raise ValueError(f"name: expected a name, got {name!r}")
        return {**value, "name": name}

    return BeforeValidator(complete)


class RunConfig(Section):
    """The complete configuration of a run."""

    space: Annotated[str, Flag("--space", help="A shipped space, FILE.yaml or FILE.py:Class.", completion="spaces")] = (
        "efficientnet"
    )
    """A shipped space, FILE.yaml or FILE.py:Class."""
    preset: Annotated[
        str | None,
        Flag("--preset", help="Adapt the space to hardware: edge-int8, mobile or gpu.", completion="presets"),
    ] = None
    """Preset that adapts the space to hardware: ``edge-int8`` (no SE, ReLU6), ``mobile`` (hard-swish), ``gpu`` (regular
    convolutions in early stages, ReLU, no SE)."""
    trials: Annotated[int, Flag("--trials", resumable=True)] = Field(default=16, ge=1)
    """Number of trials to finish, of any status."""
    seed: Annotated[int, Flag("--seed")] = Field(default=0, ge=0)
    """Random seed; the same seed gives the same result."""
    budget: Annotated[
        str | None,
        AfterValidator(_budget),
        Flag("--budget", help="Time budget: 2h, or 24gpuh or 8cpuh of all workers together.", resumable=True),
    ] = None
    """Time budget of the search: wall-clock time (``2h``), or GPU-hours (``24gpuh``) or CPU-hours (``8cpuh``) of all
    workers together."""
    expected_trials: int | None = Field(default=None, ge=1)
    """Number of trials that the budget was expected to allow when the run began; population sizes depend on it."""
    warm_start: Annotated[
        str | None,
        Flag("--warm-start", help="Folder of an earlier run; the controller learns from its trials.", is_path=True),
    ] = None
    """Folder of an earlier run; the controller learns from its trials before it proposes."""
    report: Annotated[
        bool, Flag("--report/--no-report", RUN, help="Draw report.html at the end (default: yes).", resumable=True)
    ] = True
    """Draw ``report.html`` at the end; ``nas report`` draws it at any time."""
    scaling: ScalingGrid | None = None
    """Grid of scaled networks that is searched instead of a space; ``nas scale --fit`` sets it."""
    objective: ObjectiveSettings = ObjectiveSettings()
    controller: Annotated[
        dict[str, Any],
        _named("controller"),
        Flag(
            "--controller",
            key="name",
            help="The controller that proposes architectures; see: nas controllers.",
            completion="controllers",
        ),
    ] = Field(default_factory=dict, validate_default=True)
    """``name`` and the controller's own options."""
    evaluator: Annotated[
        dict[str, Any],
        _named("evaluator"),
        Flag(
            "--evaluator",
            key="name",
            help="The evaluator that scores architectures; see: nas evaluators; or FILE.py:Class.",
            completion="evaluators",
        ),
        Flag(
            "--supernet",
            key="supernet",
            help="Folder of nas supernet train: score networks with its weights; its space and images are taken.",
            is_path=True,
        ),
    ] = Field(default_factory=dict, validate_default=True)
    """``name`` (``proxy``, ``imagenet``, ``table`` or FILE.py:Class) and the evaluator's own options."""
    data: DataSettings = DataSettings()
    fidelity: FidelitySettings = FidelitySettings()
    confirm: ConfirmationSettings = ConfirmationSettings()
    control: ControlSettings = ControlSettings()
    workers: WorkerSettings = WorkerSettings()
    tracking: TrackingSettings = TrackingSettings()

    @property
    def worker_count(self) -> int:
        """Number of workers, with the default resolved."""
        return self.workers.count_for(self.evaluator_kind.is_instant)

    @property
    def evaluator_kind(self) -> EvaluatorKind:
        """Properties of the evaluator that are known from its name alone.

        Raises:
            InputError: if no evaluator has that name.
        """
        return evaluator_kind(self.evaluator["name"])

    @property
    def evaluator_settings(self) -> Section | None:
        """Options of a shipped evaluator; ``None`` for a user's class.

        Raises:
            InputError: naming the key that is unknown or wrong.
        """
        settings = self.evaluator_kind.settings
        if settings is None:
            return None
        return validated(settings, self.evaluator_options, "the configuration", "evaluator.")

    @property
    def proxy(self) -> ProxySettings | None:
        """Settings of the proxy; ``None`` if the run uses another evaluator.

        Raises:
            InputError: as ``evaluator_settings``.
        """
        settings = self.evaluator_settings
        return settings if isinstance(settings, ProxySettings) else None

    @property
    def has_supernet(self) -> bool:
        """Whether networks are scored with the weights of a supernet."""
        return isinstance(self.evaluator_settings, SharedWeightsSettings)

    @property
    def evaluator_options(self) -> dict[str, Any]:
        """The evaluator's own options."""
        return {key: value for key, value in self.evaluator.items() if key != "name"}

    @property
    def controller_options(self) -> dict[str, Any]:
        """The controller's own options."""
        return {key: value for key, value in self.controller.items() if key != "name"}

    @property
    def is_open_ended(self) -> bool:
        """Whether the budget alone ends the run."""
        return self.budget is not None and self.trials >= OPEN_ENDED

    @property
    def full_epochs(self) -> int | None:
        """Epochs of a full training; ``None`` if they are not known for the evaluator."""
        if self.rungs:
            return self.rungs[-1]
        return None if self.proxy is None else self.proxy.epochs

    @property
    def epochs_share(self) -> float:
        """Mean epochs of a trial as a share of a full training's epochs; below 1 with successive halving."""
        if not self.rungs:
            return 1.0
        reduction = self.fidelity.reduction
        parts = [cycle * float(reduction) ** -place for place, cycle in enumerate(rung_cycles(self.rungs))]
        return sum(parts) / self.rungs[-1]

    @property
    def rungs(self) -> tuple[int, ...]:
        """Cumulative epochs at the end of each rung of successive halving; empty if all trials are trained in full.

        Raises:
            InputError: if there would be fewer than two rungs, or the evaluator's epochs are not known.
        """
        fidelity = self.fidelity
        if fidelity.method == "full":
            return ()
        most = fidelity.max_epochs
        if most is None and self.proxy is not None:
            most = self.proxy.epochs
        if most is None:
            raise InputError("fidelity.max_epochs: give it, because this evaluator's epochs are not known")
        return rung_epochs(fidelity.min_epochs, most, fidelity.reduction)


def config_names() -> tuple[str, ...]:
    """Return the names of the shipped configurations."""
    files = resources.files("nas.configs").iterdir()
    return tuple(sorted(file.name.removesuffix(".yaml") for file in files if file.name.endswith(".yaml")))


def load_config(reference: str | None, changes: Changes, assignments: Sequence[str]) -> RunConfig:
    """Read a configuration by name or path and merge changes into it.

    Args:
        reference: a shipped name or a path; ``None`` for ``default``, or ``proxy`` where the changes name data or an
            evaluator that trains.
        changes: values by section, from flags.
        assignments: ``key.path=value`` with YAML values, which override the flags.

    Raises:
        InputError: naming the key, what was expected, what was given and the nearest valid name.
    """
    named = with_supernet(with_assignments(changes, assignments))
    source, data = _read(reference or _fallback(with_assignments(changes, assignments)))
    if reference is None:
        source = "the command line"
    data = laid_over(with_supernet(data), laid_over(named, changes), NAMED)
    if changes.get("budget") is not None and "trials" not in changes:
        data["trials"] = OPEN_ENDED  # unless --set says otherwise
    name = changes.get("evaluator", {}).get("name")
    if changes.get("data", {}).get("source") is not None and name in EVALUATORS and not EVALUATORS[name].needs_data:
        raise InputError(f"--data: evaluator '{name}' trains nothing; leave --data or --evaluator out")
    return validate_config(with_assignments(data, assignments, NAMED), source)


def _fallback(given: Changes) -> str:
    """Return the name of the shipped configuration that fits the given changes."""
    evaluator = given.get("evaluator")
    name = evaluator.get("name") if isinstance(evaluator, Mapping) else None
    if name is None:
        return "proxy" if {"data", "evaluator"} & set(given) else "default"
    return "default" if name in EVALUATORS and EVALUATORS[name].is_instant else "proxy"


def validate_config(data: Mapping[str, Any], source: str, runs_code: bool = True) -> RunConfig:
    """Validate a configuration, including the options of its controller and its evaluator.

    Args:
        data: the configuration's values.
        source: where they came from, for error messages.
        runs_code: whether a user's controller may be run to check its options.

    Raises:
        InputError: as ``load_config``.
    """
    config = validated(RunConfig, data, source)
    if runs_code or ".py" not in config.controller["name"]:
        check_options(config.controller["name"], config.controller_options)
    _check_fidelity(config)
    _check_confirmation(config)
    _check_metric(config)
    _ = config.evaluator_settings  # raises where an option is wrong
    return config


def _check_fidelity(config: RunConfig) -> None:
    if config.fidelity.method == "full":
        return
    if config.evaluator_kind.is_instant or config.has_supernet:
        raise InputError(
            f"fidelity.method: asha trains some networks longer, but evaluator '{config.evaluator['name']}' trains "
            "none; leave it at full"
        )
    if config.workers.deterministic:
        raise InputError(
            "workers.deterministic: with asha, promotions depend on the order in which trials end; leave "
            "--deterministic out (one worker always gives the same result), or use --fidelity full"
        )
    _ = config.rungs  # raises if there would be fewer than two rungs


def _check_confirmation(config: RunConfig) -> None:
    trains = not config.evaluator_kind.is_instant and not config.has_supernet
    if config.confirm.candidates and not trains:
        raise InputError(
            f"confirm.candidates: evaluator '{config.evaluator['name']}' trains nothing, so nothing can be trained "
            "again; leave --confirm out. To train the network that was found: nas confirm RUN --data DIR"
        )


def _check_metric(config: RunConfig) -> None:
    if config.objective.metric != "accuracy" and config.proxy is None and not config.has_supernet:
        raise InputError(
            f"objective.metric: evaluator '{config.evaluator['name']}' returns an accuracy of its own; "
            f"{config.objective.metric} is computed only by 'proxy' and 'supernet'; leave --metric out"
        )


def with_absolute_paths(config: RunConfig) -> RunConfig:
    """Return the configuration with absolute paths, so that it works from any working directory."""
    evaluator = config.evaluator | {"name": _absolute(config.evaluator["name"])}
    controller = config.controller | {"name": _absolute(config.controller["name"])}
    earlier = config.warm_start and absolute_path(config.warm_start)
    if isinstance(table := config.evaluator_settings, TableSettings):
        evaluator |= {"path": absolute_path(table.path)}
    if isinstance(shared := config.evaluator_settings, SharedWeightsSettings):
        evaluator |= {"supernet": absolute_path(shared.supernet)}
    objective = config.objective
    if objective.device is not None:
        objective = objective.model_copy(update={"device": _absolute(objective.device)})
    files = {
        "controller": controller,
        "evaluator": evaluator,
        "warm_start": earlier,
        "data": absolute_data(config.data),
    }
    return config.model_copy(update={"space": _absolute(config.space), "objective": objective, **files})


def _absolute(reference: str) -> str:
    if reference.endswith((".yaml", ".yml", ".json")) or ".py:" in reference:
        return absolute_path(reference)
    return reference


def _read(reference: str) -> tuple[str, dict[str, Any]]:
    if reference in config_names():
        text = resources.files("nas.configs").joinpath(f"{reference}.yaml").read_text(encoding="utf-8")
        return f"config '{reference}'", parse_yaml(text, reference)
    path = expanded(reference)
    if (path / "config.yaml").is_file():
        raise InputError(f"config: '{reference}' is a run directory; give its configuration: {path / 'config.yaml'}")
    if not path.suffix and not path.exists():
        near = nearest_name(reference, config_names())
        raise InputError(f"config: expected a shipped name or a YAML file, got '{reference}'{near}")
    data = read_yaml(path)
    refuse_others(data, SEARCH, str(path))
    beside = path.parent / str(data.get("space"))
    if beside.suffix in (".yaml", ".yml") and beside.is_file() and not Path(str(data["space"])).exists():
        data["space"] = str(beside)  # the path of a space's file may be relative to the configuration's folder
    sections = {key: {} if value is None and key in SECTIONS else value for key, value in data.items()}
    return str(path), {key: value for key, value in sections.items() if key not in METADATA}
