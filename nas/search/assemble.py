"""The parts of a run, made from its configuration. Mistakes are found before any work starts."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from nas.controllers.registry import fitted_options
from nas.controllers.task import Task
from nas.core.errors import InputError, nearest_name
from nas.core.records import Architecture, Trial
from nas.core.user_code import UserCode
from nas.evaluate.cost.domain import LimitedDomain, ListedDomain
from nas.evaluate.cost.known_costs import KnownCosts
from nas.evaluate.cost.make_domain import limited_domain
from nas.evaluate.devices import load_device
from nas.evaluate.imagenet.evaluator import ImageNetEvaluator
from nas.evaluate.imagenet.skeleton import covers
from nas.evaluate.kinds import EvaluatorKind, TableSettings, kind_of_class
from nas.evaluate.objective.limits import Limits
from nas.evaluate.objective.reward import Reward
from nas.evaluate.proxy.network import proxy_resolution
from nas.evaluate.proxy.settings import ProxySettings
from nas.evaluate.recipe import EvaluatorRecipe
from nas.evaluate.supernet.settings import SharedWeightsSettings
from nas.evaluate.table import TableEvaluator
from nas.scale.grid import ScalingSpace
from nas.search.config import RunConfig
from nas.search.config_objective import budget, check_device, reward
from nas.search.genes import check_genes_are_seen, searched_resolutions
from nas.search.shared_weights import check_resolution, read_about, within
from nas.search.warm_start import earlier_trials
from nas.search_spaces import space as spaces
from nas.search_spaces.catalogue import load_space, space_source
from nas.search_spaces.domain import Domain
from nas.search_spaces.hardware_presets import apply_preset
from nas.search_spaces.image_space import OWN_IMAGES
from nas.search_spaces.space import SearchSpace

TRIES = 50  # random genotypes tried if the first one is unusable; building a module takes tens of milliseconds
_PREDICTED = ("accuracy_std", "accuracy_longer")  # metrics of the ImageNet surrogate besides the accuracy
_MORE_TRIES = 1000  # tries where no module is built


@dataclass(frozen=True)
class Setup:
    """The parts of a run.

    Attributes:
        config: the configuration as used.
        space: the search space.
        costs: exact metrics known before training.
        domain: the architectures that may be proposed.
        reward: function from metrics to the number that is maximised.
        recipe: recipe from which workers make the evaluator.
        limits: limits on costs; an architecture must satisfy them before it is trained.
        evaluator: properties that the evaluator declares.
        earlier: trials of an earlier run for the controller's warm start, with rewards computed by this run's reward.
        taken: networks of an earlier run on other images, which are trained first.
    """

    config: RunConfig
    space: SearchSpace
    costs: KnownCosts
    domain: Domain
    reward: Reward
    recipe: EvaluatorRecipe
    limits: Limits
    evaluator: EvaluatorKind
    earlier: Sequence[Trial] = ()
    taken: Sequence[Architecture] = ()

    @property
    def controller_options(self) -> dict[str, Any]:
        """The controller's options: those that are given, and others fitted to the number of trials."""
        config = self.config
        trials = len(self.earlier) + (config.expected_trials or config.trials)
        return fitted_options(config.controller["name"], trials, config.controller_options)

    @property
    def worker_count(self) -> int:
        """Number of workers; the default depends on whether the evaluator is instant."""
        return self.config.workers.count_for(self.evaluator.is_instant)

    @property
    def task(self) -> Task:
        """The task that the controller is given."""
        return Task(self.domain, self.reward)


def prepare(config: RunConfig, resumed: bool = False) -> Setup:
    """Make the parts of a run from a configuration.

    Args:
        config: the configuration as given.
        resumed: whether the run is resumed. The folder of ``warm_start`` may then be missing, because the controller's
            state already contains its trials.

    Raises:
        InputError: if the configuration cannot work; nothing has been trained or written then.
    """
    space = space_of(config)
    config = _with_reference_resolution(config, space, resumed)
    recipe = _recipe(config, space)
    named = config.objective.device
    device = None if named is None else load_device(named, space, config.objective.max_latency_error)
    table = recipe.ready if isinstance(recipe.ready, TableEvaluator) else None
    costs = KnownCosts(space, device, table.costs if table else None)
    if recipe.proxy is not None:
        _check_trainable(space, config)
    rows = [Architecture(space.name, genes) for genes in table.rows] if table else []
    maximised = reward(config)
    measured = None if recipe.code is not None else _PREDICTED if config.evaluator_kind.is_predicted else ()
    _check_countable(space, costs, config, rows[0] if rows else None, measured)

    def examine(architecture: Architecture) -> None:
        costs(architecture)
        if recipe.proxy is not None and (network := spaces.decode(space, architecture)) is not None:
            network.at(resolution=proxy_resolution(network, recipe.proxy, config.data.resolution))

    limits = budget(config)
    if recipe.shared is not None:
        weights = read_about(recipe.shared.supernet)
        weights.check_space(space)
        check_resolution(weights, config.data.resolution)
        limits = within(weights, limits)
    domain: Domain
    if rows:
        domain = ListedDomain(space, costs, limits, rows, "the rows of evaluator.path")
    elif isinstance(space, ScalingSpace):
        domain = ListedDomain(space, costs, limits, space.distinct(), "the grid of scaling")
    else:
        try:
            domain = (limited_domain if limits else LimitedDomain)(space, costs, limits, examine)
        except InputError as error:
            raise _with_hint(error, config, space) from None
    evaluator = config.evaluator_kind if recipe.code is None else kind_of_class(recipe.code)
    if recipe.ready is None and not isinstance(space, ScalingSpace):
        check_genes_are_seen(space, recipe.proxy, config.data.resolution, evaluator.reads_genes)
    return Setup(
        config=config,
        space=space,
        costs=costs,
        domain=domain,
        reward=maximised,
        recipe=recipe,
        limits=limits,
        evaluator=evaluator,
        earlier=earlier_trials(config, space, costs, maximised, resumed),
    )


def _with_hint(error: InputError, config: RunConfig, space: SearchSpace) -> InputError:
    """Return the error of a space that holds no network inside the limits; for images, with a space that may."""
    if config.proxy is None or space.name == OWN_IMAGES:
        return error
    return InputError(f"{error} (--space {OWN_IMAGES} is for images of your own, and reaches small budgets)")


def _with_reference_resolution(config: RunConfig, space: SearchSpace, resumed: bool) -> RunConfig:
    """Set the proxy's reference resolution: the largest resolution of the space.

    Its networks train at ``data.resolution``, others, of the space or of the control, in proportion to their own. A
    resumed run of a space that searches the resolution is not changed: its trials were trained as they were.
    """
    proxy = config.proxy
    if proxy is None or proxy.reference_resolution is not None or isinstance(space, ScalingSpace):
        return config
    found = searched_resolutions(space)
    if not found or (len(found) == 1 and not config.control.enabled) or (len(found) > 1 and resumed):
        return config
    return config.model_copy(update={"evaluator": {**config.evaluator, "reference_resolution": found[-1]}})


def space_of(config: RunConfig) -> SearchSpace:
    """Return the space that a configuration searches, with its preset applied.

    Raises:
        InputError: if it cannot be loaded.
    """
    if config.scaling is not None:
        return ScalingSpace(config.scaling)
    space = load_space(config.space)
    return space if config.preset is None else apply_preset(space, config.preset)


def _recipe(config: RunConfig, space: SearchSpace) -> EvaluatorRecipe:
    limits, settings = _worker_limits(config), config.evaluator_settings
    if isinstance(settings, ProxySettings):
        return replace(proxy_recipe(config), space_source=space_source(config.space))
    if isinstance(settings, SharedWeightsSettings):
        source, device = space_source(config.space), config.workers.train_device
        own = None if source is not None else space
        metric = config.objective.metric
        return EvaluatorRecipe(shared=settings, space=own, space_source=source, device=device, metric=metric, **limits)
    if isinstance(settings, TableSettings):
        return EvaluatorRecipe(ready=TableEvaluator.read(Path(settings.path), space), **limits)
    if settings is not None:
        return EvaluatorRecipe(ready=_surrogate(space), **limits)
    name = config.evaluator["name"]
    code = UserCode.read(name, "evaluator")
    if code is None:
        raise InputError(f"evaluator: expected FILE.py:Class, got '{name}'")
    key = "fidelity.method" if config.rungs else "confirm.epochs" if config.confirm.epochs is not None else ""
    _check_evaluator(code, config.evaluator_options, key)
    return EvaluatorRecipe(code=code, options=config.evaluator_options, **limits)


def proxy_recipe(config: RunConfig) -> EvaluatorRecipe:
    """Return the proxy's recipe with a configuration's settings and worker limits, for networks outside any space."""
    return EvaluatorRecipe(
        config.proxy,
        device=config.workers.train_device,
        metric=config.objective.metric,
        **_worker_limits(config),
    )


def _worker_limits(config: RunConfig) -> dict[str, Any]:
    return {"timeout_s": config.workers.trial_timeout, "memory_bytes": config.workers.trial_memory}


def _surrogate(space: SearchSpace) -> ImageNetEvaluator:
    if reason := covers(space):
        raise InputError(
            "evaluator: the ImageNet surrogate covers only networks on EfficientNet-B0's skeleton, and space "
            f"'{space.name}' differs: {reason}. Give images to train on with --data DIR (or --data digits), or use "
            "--evaluator FILE.py:Class"
        )
    return ImageNetEvaluator()


def _check_evaluator(code: UserCode, options: Mapping[str, Any], key: str) -> None:
    """Check that a user's class has ``evaluate`` and accepts the options that it is given.

    ``key`` is the configuration key that sets the number of epochs; empty if there is none.
    """
    kind = code.load()
    if not callable(getattr(kind, "evaluate", None)):
        raise InputError(f"evaluator: class {code.class_name} needs a method evaluate(self, architecture, network)")
    for method in ("evaluate", "test") if key else ():
        own = getattr(kind, method, None)
        if own is not None and "epochs" not in inspect.signature(own).parameters:
            raise InputError(
                f"{key}: this key sets the number of epochs; {code.class_name}.{method} needs a parameter 'epochs' for "
                "that"
            )
    try:
        given = {**options, "data": None} if kind_of_class(code).needs_data else options
        inspect.signature(kind).bind(**given)
    except TypeError as error:
        taken = list(inspect.signature(kind).parameters)
        raise InputError(
            f"evaluator: {code.class_name} takes the options {taken}, got {list(options)}: {error}"
        ) from None


def _check_countable(
    space: SearchSpace,
    costs: KnownCosts,
    config: RunConfig,
    row: Architecture | None,
    measured: Sequence[str] | None,
) -> None:
    """Check that the costs of the target, of every limit and of the reward's factors are known.

    Args:
        space: the space.
        costs: its known costs.
        config: the configuration.
        row: an architecture to test with, if the evaluator is a table.
        measured: metrics that the evaluator returns besides; ``None`` if they are not known before it runs.

    Raises:
        InputError: naming the metric, and the nearest known one.
    """
    if row is None and hasattr(space, "costs"):
        _usable(space, costs, _MORE_TRIES)
    objective = config.objective
    looked_up = {} if row is None else costs(row)
    asked = {*objective.limits} | ({one.metric for one in objective.factors} if measured is not None else set())
    latency = (objective.target_latency is not None or "latency_ms" in asked) and "latency_ms" not in looked_up
    throughput = (objective.min_throughput is not None or "throughput" in asked) and "throughput" not in looked_up
    if latency or throughput:
        check_device(costs.device, latency, throughput)
    if objective.target_flops is None and not objective.limits and not (objective.factors and measured is not None):
        return
    known = looked_up or costs(_usable(space, costs))
    for metric in objective.limits:
        if metric not in known:
            raise InputError(
                f"objective.limits: '{metric}' is not a cost that is known for space '{space.name}' before training"
                f"{nearest_name(metric, known)}"
            )
    for place, factor in enumerate(objective.factors if measured is not None else ()):
        if factor.metric not in (names := [*known, *(measured or ())]):
            raise InputError(
                f"objective.factors[{place}].metric: no metric of this search is named '{factor.metric}'"
                f"{nearest_name(factor.metric, names)}"
            )
    if objective.target_flops is not None and "macs" not in known:
        raise InputError(
            f"target_flops: the MACs of space '{space.name}' are not known; define costs(genes), decode, or "
            "build with a resolution in its class, or leave --target-flops out"
        )


def _usable(space: SearchSpace, attempt: Callable[[Architecture], object], tries: int = TRIES) -> Architecture:
    """Return a genotype for which ``attempt`` succeeds: the first one of the space, else one of ``tries`` random ones.

    Raises:
        InputError: the error of the first genotype, if ``attempt`` fails for all of them.
    """
    generator = np.random.default_rng(0)
    first = Architecture(space.name, (0,) * len(space.gene_sizes))
    for candidate in chain([first], (spaces.sample(space, generator) for _ in range(tries))):
        try:
            attempt(candidate)
        except InputError:
            continue
        return candidate
    attempt(first)
    raise AssertionError("the first genotype failed before")


def _check_trainable(space: SearchSpace, config: RunConfig) -> None:
    """Check that the proxy can build this space's networks at the data's resolution."""
    if not (hasattr(space, "decode") or hasattr(space, "build")):
        raise InputError(
            f"evaluator: the proxy trains networks, but space '{space.name}' has neither decode nor build; "
            "use --evaluator FILE.py:Class"
        )
    network = spaces.decode(space, _usable(space, lambda architecture: spaces.decode(space, architecture)))
    assert config.proxy is not None
    for resolution in searched_resolutions(space) if network is not None else ():
        assert network is not None
        side = proxy_resolution(network.at(resolution=resolution), config.proxy, config.data.resolution)
        try:
            network.at(resolution=side)
        except InputError as error:
            searched = "" if side == config.data.resolution else f" (networks of {resolution} px train at {side} px)"
            raise InputError(
                f"data.resolution: {config.data.resolution} px is too small for this space{searched}: {error}"
            ) from None
