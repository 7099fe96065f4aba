"""A run's configuration: a YAML file, the flags over it, and ``--set key.path=value`` over both."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, BeforeValidator, Field, TypeAdapter, ValidationError

from nas.controllers.registry import check_controller
from nas.core.errors import InputError, explain, nearest_name
from nas.core.section import Section
from nas.evaluate.data.load import data_names
from nas.evaluate.data.settings import DataSettings
from nas.evaluate.proxy.settings import ProxySettings
from nas.evaluate.recipe import EVALUATORS, INSTANT, PROXY, TABLE
from nas.evaluate.workers.settings import WorkerSettings
from nas.scale.grid import ScalingGrid
from nas.search.asha import rung_cycles, rung_epochs
from nas.search.config_sections import ConfirmationSettings, FidelitySettings, ObjectiveSettings, TrackingSettings
from nas.search.time_budget import TimeBudget
from nas.search_spaces.yaml_format import read_yaml
from nas.search_spaces.yaml_kinds import SEARCH, refuse_others

OPEN_ENDED = 1_000_000  # trials of a run that ends with its budget
SECTIONS = ("objective", "controller", "evaluator", "data", "fidelity", "confirm", "workers", "tracking")
METADATA = ("versions", "created")  # what a run's config.yaml says beside its configuration
_DEFAULT_NAMES = {"controller.name": "predictor", "evaluator.name": PROXY}


def _budget(value: str | None) -> str | None:
    try:
        return value if value is None else TimeBudget.parse(value).text
    except InputError as error:
        raise ValueError(str(error).removeprefix("budget: ")) from None


def _named(section: str) -> BeforeValidator:
    """Let a section leave its ``name`` out."""
    default = {"name": _DEFAULT_NAMES[f"{section}.name"]}
    return BeforeValidator(lambda value: default | value if isinstance(value, dict) else value)


class RunConfig(Section):
    """Everything that decides a run."""

    space: str = "efficientnet"
    """A shipped space, FILE.yaml or FILE.py:Class."""
    preset: str | None = None
    """Shapes the space for hardware: ``edge-int8`` (no SE, ReLU6), ``mobile`` (hard-swish), ``gpu`` (regular
    convolutions in early stages, ReLU, no SE)."""
    trials: int = Field(default=16, ge=1)
    """Finished trials of any status."""
    seed: int = Field(default=0, ge=0)
    """One seed, one result."""
    budget: Annotated[str | None, AfterValidator(_budget)] = None
    """What the search may take: ``2h`` by the clock, or ``24gpuh`` (``8cpuh``) of all workers together."""
    expected_trials: int | None = Field(default=None, ge=1)
    """How many trials the budget was expected to allow when the run began; decides populations."""
    warm_start: str | None = None
    """An earlier run's folder: the controller begins with what its trials came to."""
    report: bool = True
    """Draw ``report.html`` at the end; ``nas report`` draws it at any time."""
    scaling: ScalingGrid | None = None
    """Instead of a space: a grid of scaled networks, as ``nas scale --fit`` searches."""
    objective: ObjectiveSettings = ObjectiveSettings()
    controller: Annotated[dict[str, Any], _named("controller")] = Field(default_factory=dict, validate_default=True)
    """``name`` and the controller's own options."""
    evaluator: Annotated[dict[str, Any], _named("evaluator")] = Field(default_factory=dict, validate_default=True)
    """``name`` (``proxy``, ``imagenet``, ``table`` or FILE.py:Class) and the evaluator's own options."""
    data: DataSettings = DataSettings()
    fidelity: FidelitySettings = FidelitySettings()
    confirm: ConfirmationSettings = ConfirmationSettings()
    workers: WorkerSettings = WorkerSettings()
    tracking: TrackingSettings = TrackingSettings()

    @property
    def worker_count(self) -> int:
        """Workers, with the default resolved."""
        if self.workers.count is not None:
            return self.workers.count
        return 0 if self.is_instant else min(os.cpu_count() or 1, 8)

    @property
    def is_instant(self) -> bool:
        """Whether the evaluator answers at once."""
        return self.evaluator["name"] in INSTANT

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
        """Epochs of a whole training; ``None`` where the evaluator does not say."""
        if self.rungs:
            return self.rungs[-1]
        return self.proxy_settings().epochs if self.evaluator["name"] == PROXY else None

    @property
    def epochs_share(self) -> float:
        """The share of a whole training's epochs that a trial takes in the mean; below 1 under halving."""
        if not self.rungs:
            return 1.0
        reduction = self.fidelity.reduction
        parts = [cycle * float(reduction) ** -place for place, cycle in enumerate(rung_cycles(self.rungs))]
        return sum(parts) / self.rungs[-1]

    @property
    def rungs(self) -> tuple[int, ...]:
        """Epochs at the end of each rung of successive halving; empty where all are trained alike.

        Raises:
            InputError: if the schedule leaves no room for two rungs, or is not known.
        """
        fidelity = self.fidelity
        if fidelity.method == "full":
            return ()
        most = fidelity.max_epochs
        if most is None and self.evaluator["name"] == PROXY:
            most = self.proxy_settings().epochs
        if most is None:
            raise InputError("fidelity.max_epochs: give it, for this evaluator does not say its epochs")
        return rung_epochs(fidelity.min_epochs, most, fidelity.reduction)

    def proxy_settings(self) -> ProxySettings:
        """Return the proxy's settings.

        Raises:
            InputError: naming the key that is unknown or wrong.
        """
        try:
            return TypeAdapter(ProxySettings).validate_python(self.evaluator_options)
        except ValidationError as error:
            raise InputError(explain(error, ProxySettings, "evaluator")) from None


def config_names() -> tuple[str, ...]:
    """Return the names of the shipped run files."""
    files = resources.files("nas.configs").iterdir()
    return tuple(sorted(file.name.removesuffix(".yaml") for file in files if file.name.endswith(".yaml")))


def load_config(reference: str | None, changes: Mapping[str, Any], assignments: Sequence[str]) -> RunConfig:
    """Read a run file by name or path and lay changes over it.

    Args:
        reference: a shipped name or a path; ``None`` for ``default``, or ``proxy`` where the changes name data or an
            evaluator that does not answer at once.
        changes: values by dotted key, from flags; ``None`` values are left out.
        assignments: ``key.path=value`` with YAML values, laid over the flags.

    Raises:
        InputError: naming the key, what was expected, what was got and the nearest valid name.
    """
    source, data = _read(reference or _fallback(changes, assignments))
    if reference is None:
        source = "the command line"
    for key, value in changes.items():
        if value is not None:
            _assign(data, key, value)
    if changes.get("budget") is not None and changes.get("trials") is None:
        data["trials"] = OPEN_ENDED  # unless --set says otherwise
    name = changes.get("evaluator.name")
    if changes.get("data.source") is not None and name in INSTANT:
        raise InputError(f"--data: evaluator '{name}' trains nothing; leave --data or --evaluator out")
    for assignment in assignments:
        key, separator, text = assignment.partition("=")
        if not separator or not key:
            raise InputError(f"--set: expected key.path=value, got '{assignment}'")
        _assign(data, key, _yaml_value(assignment, text))
    return validate_config(data, source)


def _fallback(changes: Mapping[str, Any], assignments: Sequence[str]) -> str:
    """Return the shipped run file that fits what is asked for."""
    texts = dict(assignment.partition("=")[::2] for assignment in assignments)
    given = {**{key: value for key, value in changes.items() if value is not None}, **texts}
    named = given.get("evaluator.name")
    if named is None:
        return PROXY if any(key.startswith(("data.", "evaluator.")) for key in given) else "default"
    return "default" if named in INSTANT else PROXY


def validate_config(data: Mapping[str, Any], source: str) -> RunConfig:
    """Validate a configuration, its controller's and its evaluator's options included.

    Raises:
        InputError: as ``load_config``.
    """
    try:
        config = RunConfig.model_validate(data)
    except ValidationError as error:
        raise InputError(explain(error, RunConfig, source)) from None
    for section in ("controller", "evaluator"):
        if not isinstance(name := getattr(config, section)["name"], str):
            raise InputError(f"{source}: {section}.name: expected a name, got {name!r}")
    check_controller(config.controller["name"], config.controller_options)
    name = config.evaluator["name"]
    _check_fidelity(config)
    _check_confirmation(config)
    if name == PROXY:
        config.proxy_settings()
    elif name in INSTANT:
        _check_instant(name, config.evaluator_options)
    elif ".py" not in name:
        raise InputError(
            f"evaluator: expected FILE.py:Class or a shipped one, got '{name}'{nearest_name(name, EVALUATORS)}"
        )
    return config


def _check_fidelity(config: RunConfig) -> None:
    if config.fidelity.method == "full":
        return
    if config.is_instant:
        raise InputError(
            f"fidelity.method: asha trains some networks longer, but evaluator '{config.evaluator['name']}' trains "
            "none; leave it at full"
        )
    if config.workers.deterministic:
        raise InputError(
            "workers.deterministic: with asha, who goes on depends on the order in which trials end; leave "
            "--deterministic out (one worker always gives the same), or use --fidelity full"
        )
    _ = config.rungs  # raises where the schedule leaves no room


def _check_confirmation(config: RunConfig) -> None:
    if config.confirm.candidates and config.is_instant:
        raise InputError(
            f"confirm.candidates: evaluator '{config.evaluator['name']}' trains nothing that could be trained again; "
            "leave --confirm out. To train what was found for real: nas confirm RUN --data DIR"
        )


def _check_instant(name: str, options: Mapping[str, Any]) -> None:
    known = ("path",) if name == TABLE else ()
    for key in options:
        if key not in known:
            raise InputError(f"unknown key 'evaluator.{key}'{nearest_name(key, known)}")
    if name == TABLE and not isinstance(options.get("path"), str):
        raise InputError(f"evaluator.path: expected --set evaluator.path=FILE.json, got {options.get('path')!r}")


def with_absolute_paths(config: RunConfig) -> RunConfig:
    """Return the configuration with every file it names absolute, so that it repeats from any working directory."""
    evaluator = config.evaluator | {"name": _absolute(config.evaluator["name"])}
    controller = config.controller | {"name": _absolute(config.controller["name"])}
    earlier = config.warm_start and str(Path(config.warm_start).expanduser().resolve())
    if config.evaluator["name"] == TABLE:
        evaluator |= {"path": str(Path(evaluator["path"]).expanduser().resolve())}
    objective = config.objective
    if objective.device is not None:
        objective = objective.model_copy(update={"device": _absolute(objective.device)})
    source = config.data.source
    named = source in data_names()
    data = config.data if named else _replace(config.data, source=str(Path(source).expanduser().resolve()))
    files = {"controller": controller, "evaluator": evaluator, "warm_start": earlier}
    return config.model_copy(update={"space": _absolute(config.space), "data": data, "objective": objective, **files})


def _replace(settings: DataSettings, **changes: Any) -> DataSettings:
    from dataclasses import replace

    return replace(settings, **changes)


def _absolute(reference: str) -> str:
    if reference.endswith((".yaml", ".yml", ".json")) or ".py:" in reference:
        return str(Path(reference).expanduser().resolve())
    return reference


def _read(reference: str) -> tuple[str, dict[str, Any]]:
    if reference in config_names():
        text = resources.files("nas.configs").joinpath(f"{reference}.yaml").read_text(encoding="utf-8")
        return f"config '{reference}'", yaml.safe_load(text)
    path = Path(reference).expanduser()
    if (path / "config.yaml").is_file():
        raise InputError(f"config: '{reference}' is a run's folder; give its configuration: {path / 'config.yaml'}")
    if not path.suffix and not path.exists():
        near = nearest_name(reference, config_names())
        raise InputError(f"config: expected a shipped name or a YAML file, got '{reference}'{near}")
    data = read_yaml(path)
    refuse_others(data, SEARCH, str(path))
    beside = path.parent / str(data.get("space"))
    if beside.suffix in (".yaml", ".yml") and beside.is_file() and not Path(str(data["space"])).exists():
        data["space"] = str(beside)  # a space's file may be named as seen from the configuration's folder
    sections = {key: {} if value is None and key in SECTIONS else value for key, value in data.items()}
    return str(path), {key: value for key, value in sections.items() if key not in METADATA}


def _assign(data: dict[str, Any], key: str, value: Any) -> None:
    """Set a dotted key; another ``name`` of a controller or evaluator drops the options of the one before."""
    *sections, last = key.split(".")
    here = data
    for section in sections:
        inner = here.setdefault(section, {})
        if not isinstance(inner, dict):
            raise InputError(f"{key}: '{section}' holds the plain value {inner!r}, no keys")
        here = inner
    if key in _DEFAULT_NAMES and here.get("name", _DEFAULT_NAMES[key]) != value:
        here.clear()
    here[last] = value


def _yaml_value(assignment: str, text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError):  # a ValueError is YAML's for impossible dates
        raise InputError(f"--set: the value of '{assignment}' is no valid YAML") from None
