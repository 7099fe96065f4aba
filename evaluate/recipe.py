"""The recipe of a run's evaluator, which is sent to the workers; each worker makes the evaluator once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nas.core.errors import InputError
from nas.core.records import Architecture
from nas.core.user_code import UserCode
from nas.evaluate.contract import Evaluator
from nas.evaluate.data.image_data import ImageData
from nas.evaluate.proxy.settings import ProxySettings
from nas.evaluate.supernet.settings import SharedWeightsSettings
from nas.search_spaces.catalogue import instantiate_space
from nas.search_spaces.space import SearchSpace


@dataclass(frozen=True, slots=True)
class EvaluatorRecipe:
    """How to make an evaluator in any process.

    Attributes:
        proxy: settings of the built-in proxy; used if neither ``ready`` nor ``code`` is given.
        code: class of the user's evaluator; used if ``ready`` is not given.
        options: keyword arguments of the user's class; ``data`` is added if it needs images.
        ready: an evaluator object that is sent as it is.
        shared: settings of the evaluator that scores with the weights of a supernet.
        space: the supernet's space, unless it is a user's.
        space_source: source of a user's space, for spaces whose ``build`` makes the modules, and for supernets.
        device: device of proxy trainings: ``auto``, ``cpu`` or ``cuda``.
        timeout_s: time limit of one evaluation, in seconds.
        memory_bytes: bytes that one evaluation may add to the memory of its process.
        gpu_share: the share of a GPU's memory that the process may use.
        metric: the metric of the predictions that proxies return as ``accuracy``.
    """

    proxy: ProxySettings | None = None
    code: UserCode | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    ready: Evaluator | None = None
    shared: SharedWeightsSettings | None = None
    space: SearchSpace | None = None
    space_source: UserCode | str | None = None
    device: str = "auto"
    timeout_s: float | None = None
    memory_bytes: float | None = None
    gpu_share: float = 1.0
    metric: str = "accuracy"

    def make(self, data: ImageData | None) -> Evaluator:
        """Make the evaluator in this process.

        Raises:
            InputError: if the user's class has no ``evaluate``.
            Exception: any exception of the user's constructor.
        """
        if self.ready is not None:
            return self.ready
        if self.code is not None:
            own = {"data": data} if getattr(self.code.load(), "needs_data", False) else {}
            evaluator: Evaluator = self.code.load()(**self.options, **own)
            if not callable(getattr(evaluator, "evaluate", None)):
                raise InputError(f"evaluator {self.code.class_name}: needs a method evaluate(architecture, network)")
            return evaluator
        if self.shared is not None:
            return self._make_shared(self.shared, data)
        from nas.core.cpu_tuning import tune_for_training
        from nas.evaluate.proxy.evaluator import ProxyEvaluator, share_gpu

        assert self.proxy is not None and data is not None
        tune_for_training()
        share_gpu(self.device, self.gpu_share)
        return ProxyEvaluator(self.proxy, data, self.device, self._module_builder(), self.metric)

    def _make_shared(self, settings: SharedWeightsSettings, data: ImageData | None) -> Evaluator:
        from nas.evaluate.proxy.evaluator import share_gpu
        from nas.evaluate.supernet.evaluator import SupernetEvaluator

        space = self.space if self.space_source is None else instantiate_space(self.space_source)
        assert space is not None and data is not None
        share_gpu(self.device, self.gpu_share)
        return SupernetEvaluator(settings, space, data, self.device, self.metric)

    def _module_builder(self) -> Callable[[Architecture], Any] | None:
        if self.space_source is None:
            return None
        build: Callable[[Architecture], Any] | None = getattr(instantiate_space(self.space_source), "build", None)
        return build
