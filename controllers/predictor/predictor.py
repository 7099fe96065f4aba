"""Predictor-guided search: only the accuracy has to be learned, since costs are exact and free before any training.

A Gaussian process predicts the accuracy and its uncertainty. Tens of thousands of genotypes within the budget are
searched for the highest reward of the exact costs and an optimistic accuracy, ``mean + kappa * std`` (upper confidence
bound, Srinivas et al. 2010). Trials that are still running reduce the uncertainty, so that parallel workers do not get
near copies (GP-BUCB, Desautels et al. 2014). With several objectives, each proposal maximises a new random
scalarisation, whose expectation is the hypervolume (Zhang and Golovin 2020, arXiv 2006.04655). Its candidates come from
searches for a few other random scalarisations.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import cache
from itertools import islice
from typing import Any

import numpy as np

from nas.controllers.controller import Controller, State
from nas.controllers.objectives import ACCURACY, REWARD, Objectives, Watch, known_metrics, rises_by_name
from nas.controllers.predictor.batches import Accept, Beliefs, pick, pick_spread
from nas.controllers.predictor.gaussian_process import GaussianProcess
from nas.controllers.predictor.inner_search import best_candidates, distinct
from nas.controllers.predictor.model import Model
from nas.controllers.predictor.scalarisation import Scalarisation
from nas.controllers.task import Numbers, Task
from nas.core.errors import InputError
from nas.core.records import Architecture, Trial
from nas.search_spaces.domain import Columns, Genes

_POOL = 400  # best candidates from which a batch is picked
_DESIGN = 800  # candidates from which the first networks are picked
_DESIGN_NOISE = 0.3
_MOST_TAKEN = 200  # maximum number of earlier proposals that a design takes into account
_KICKED = 50  # best networks so far from which the inner search begins
_WEIGHTINGS = 4  # number of scalarisations for which candidates of one batch are searched
_DISCOURAGED = 1e6  # penalty of architectures that are likely to fail, in ranges of the objective
INITIAL, LEAST_INITIAL = 12, 4


class Predictor(Controller):
    """Proposes the architectures of the highest reward under optimistic predictions.

    Args:
        task: the domain of architectures and the reward function.
        seed: seed of the controller's random generator.
        initial: number of results, of networks spread over the space, before the first prediction.
        kappa: optimism: number of standard deviations added to the predicted mean of the accuracy.
        candidates: number of genotypes scored for each batch of proposals (fewer if costs have to be counted one by
            one).
        most: maximum number of results that predictions use; if there are more, half of those used are the best ones
            and the others are evenly spread.
        objectives: ``reward``, or several names of metrics such as ``accuracy``, ``macs``, ``max:NAME``; metrics that
            are not known before training are predicted too.
    """

    name = "predictor"
    summary = "Gaussian process of the accuracy, exact costs, upper confidence bound; fewest trainings"

    def __init__(
        self,
        task: Task,
        seed: int,
        *,
        initial: int = INITIAL,
        kappa: float = 2.0,
        candidates: int = 20_000,
        most: int = 1000,
        objectives: Sequence[str] = (REWARD,),
    ) -> None:
        super().__init__(task, seed)
        for name, value, least in (("initial", initial, 2), ("candidates", candidates, 10), ("most", most, 10)):
            if value < least:
                raise InputError(f"controller.{name}: expected at least {least}, got {value}")
        if kappa < 0:
            raise InputError(f"controller.kappa: expected 0 or more, got {kappa}")
        self.initial, self.kappa = initial, kappa
        self.candidates = min(candidates, task.domain.affordable)
        self.objectives = Objectives.parse(objectives)
        self.model = Model(task.domain, self._modelled(), most)
        self._rising = dict(zip(self.objectives.names, self.objectives.signs, strict=True))
        self._watch = Watch("controller.objectives", [name for name in self.model.metrics if name in self._rising])
        self._queue: list[Architecture] = []
        self._has_copies = False  # whether a candidate was a network that was proposed before

    @classmethod
    def fitted(cls, trials: int, given: Mapping[str, Any]) -> State:
        """Return a third of the trials for ``initial``, from 4 to 12.

        Raises:
            InputError: if a given ``initial`` exceeds the number of trials, so that nothing would be predicted.
        """
        initial = given.get("initial", max(min(trials // 3, INITIAL), min(LEAST_INITIAL, max(trials, 2))))
        if "initial" in given and initial > trials:
            raise InputError(f"controller.initial: expected at most the run's {trials} trials, got {initial}")
        return {"initial": initial}

    def prepare(self, count: int) -> None:
        """Compute the next proposals, best first."""
        results = len(self.model.observations.places("ok"))
        self._queue = self._predicted(count) if results >= self.initial else self._spread_out(count)

    def propose(self) -> Architecture | None:
        """Return the next computed proposal."""
        return self._queue.pop(0) if self._queue else None

    def tell(self, trials: Sequence[Trial]) -> None:
        """Learn from finished trials, and check that they have the modelled metrics."""
        super().tell(trials)
        self._watch.see(trials)

    def learn(self, trial: Trial) -> None:
        """Record a finished trial, including a failed one."""
        self.model.observations.add(trial, self.model.metrics, earlier=False)

    def warm_start(self, trials: Sequence[Trial]) -> None:
        """Learn from an earlier run, even if its networks were trained with other settings."""
        for trial in trials:
            self.model.observations.add(trial, self.model.metrics, earlier=True)

    def own_state(self) -> State:
        """Return the observations and the model's hyperparameters."""
        return {**self.model.state(), "has_copies": self._has_copies}

    def load_own_state(self, state: Mapping[str, Any]) -> None:
        """Restore the observations and the model's hyperparameters."""
        self.model.load_state(state)
        for genes in [*self.model.observations.genes, *self.model.impossible]:
            self.restored(genes)
        if self.model.observations.places("ok"):
            self._watch.trust()
        self._has_copies = bool(state["has_copies"])

    def _modelled(self) -> dict[str, bool]:
        """Return the metrics that have to be predicted, and for each whether higher is better.

        These are the metrics of the objectives, and of the reward, that are not known before training.
        """
        known = known_metrics(self.domain)
        signs = zip(self.objectives.names, self.objectives.signs, strict=True)
        wanted = {ACCURACY if name == REWARD else name: sign > 0 for name, sign in signs}
        if REWARD in self.objectives.names:
            wanted = {**{name: rises_by_name(name) for name in self.task.reward.metrics}, **wanted}
        if not (modelled := {name: rises for name, rises in wanted.items() if name not in known}):
            raise InputError(
                f"controller.objectives: {', '.join(self.objectives.names)} are known without any trial; "
                "name one that has to be learned, such as accuracy"
            )
        return modelled

    def _acceptable(self, architecture: Architecture) -> bool:
        """Return whether a candidate is a new network inside the domain; otherwise record why it is not."""
        if not self.domain.admits(architecture):
            self.model.impossible[architecture.genes] = None
            return False
        copy = self.domain.key(architecture) in self._proposed
        self._has_copies |= copy
        return not copy

    def _pick(self, picker: Callable[[Accept], list[int]], candidates: Genes) -> list[Architecture]:
        """Return the architectures picked from candidates: distinct new networks inside the domain."""
        keys: set[Hashable] = set()

        def accept(place: int) -> bool:
            architecture = self.architecture(candidates[place])
            if not self._acceptable(architecture) or (key := self.domain.key(architecture)) in keys:
                return False
            keys.add(key)
            return True

        return [self.architecture(candidates[place]) for place in picker(accept)]

    def _spread_out(self, count: int) -> list[Architecture]:
        """Return the networks that are together most informative about the space, given earlier proposals."""
        drawn = self.domain.sample_genes(self.generator, min(_DESIGN, self.candidates))
        if drawn is None:
            return []
        before = [*self.model.observations.genes, *(architecture.genes for architecture in self.pending)]
        taken = np.array(before[-_MOST_TAKEN:], dtype=np.int64).reshape(-1, drawn.shape[1])
        candidates = np.concatenate([taken, drawn[distinct(drawn)]])
        covariance = GaussianProcess(self.model.features).prior_covariance(self.model.rows(candidates))
        closed = range(len(taken))
        return self._pick(lambda accept: pick_spread(covariance, _DESIGN_NOISE, closed, count, accept), candidates)

    def _predicted(self, count: int) -> list[Architecture]:
        """Return the candidates of the highest optimistic reward, picked one after another."""
        self.model.refresh([architecture.genes for architecture in self.pending])
        single = len(self.objectives.names) == 1
        scale = Scalarisation.of(self._observed_objectives())
        weightings = [scale.draw(self.generator) for _ in range(1 if single else min(count, _WEIGHTINGS))]
        pools = [self._pool(scale, weights) for weights in weightings]
        pool = np.concatenate(pools)
        pool = pool[distinct(pool)]
        if not len(pool):
            return []
        costs = self.domain.costs(pool)
        rows = self.model.features.of(pool, costs)
        discouraged = _DISCOURAGED * scale.unit * self.model.doubt(rows)
        joint = {name: process.joint(rows) for name, process in self.model.processes.items()}
        beliefs = Beliefs(
            {name: mean for name, (mean, _) in joint.items()},
            {name: covariance for name, (_, covariance) in joint.items()},
            {name: process.noise_variance for name, process in self.model.processes.items()},
        )

        def value(stds: dict[str, Numbers]) -> Numbers:
            weights = weightings[0] if single else scale.draw(self.generator)
            return scale(self._optimistic(costs, beliefs.means, stds), weights) - discouraged

        return self._pick(lambda accept: pick(beliefs, value, count, accept), pool)

    def _pool(self, scale: Scalarisation, weights: Numbers) -> Genes:
        """Return the best new candidates for one weighting of the objectives, best first."""

        def score(genes: Genes) -> Numbers:
            costs = self.domain.costs(genes)
            rows = self.model.features.of(genes, costs)
            found = self.model.predict(rows)
            means = {name: posterior.mean for name, posterior in found.items()}
            stds = {name: posterior.std for name, posterior in found.items()}
            values = scale(self._optimistic(costs, means, stds), weights)
            return values - _DISCOURAGED * scale.unit * self.model.doubt(rows)

        key = cache(self._network) if self._has_copies else None
        found, _ = best_candidates(
            self.domain,
            score,
            self.generator,
            self._best_so_far(),
            self.candidates,
            None if key is None else lambda row: key(tuple(row)),
        )
        known = set(self.model.observations.new_genes())
        known.update([architecture.genes for architecture in self.pending], self.model.impossible)
        new = (row for row in found.tolist() if tuple(row) not in known)
        if key is not None:
            new = (row for row in new if key(tuple(row)) is not None)
        return np.array(list(islice(new, _POOL)), dtype=np.int64).reshape(-1, found.shape[1])

    def _network(self, genes: tuple[int, ...]) -> Hashable:
        """Return the key of a genotype's network; ``None`` if there is no valid network, or it was proposed before."""
        try:
            key = self.domain.key(self.architecture(genes))
        except InputError:
            return None
        return None if key in self._proposed else key

    def _optimistic(self, costs: Columns, means: dict[str, Numbers], stds: dict[str, Numbers]) -> Numbers:
        """Return the objectives under optimistic predictions, ``(n, objectives)``, all to maximise."""
        columns = dict(costs)
        for name, mean in means.items():
            direction = self._rising.get(name, 1 if rises_by_name(name) else -1)
            columns[name] = mean + direction * self.kappa * stds[name]
            if name != ACCURACY and name in self.task.reward.metrics:  # a cost of the reward is positive
                columns[name] = np.maximum(columns[name], self.model.observations.least(name) / 2)
        values = [self.task.reward.many(columns) if name == REWARD else columns[name] for name in self.objectives.names]
        hoped: Numbers = np.stack(values, axis=1) * np.asarray(self.objectives.signs)
        return hoped

    def _observed_objectives(self) -> Numbers:
        """Return the objectives of all results so far, ``(n, objectives)``, all to maximise."""
        seen = self.model.observations
        places = seen.places("ok")
        costs = self.domain.costs(seen.genes_at(places))
        means = {name: seen.metric_at(name, places) for name in self.model.metrics}
        return self._optimistic(costs, means, {name: np.zeros(len(places)) for name in means})

    def _best_so_far(self) -> Genes:
        """Return the genotypes of the highest rewards so far that are inside the domain."""
        seen = self.model.observations
        places = sorted(seen.places("ok"), key=lambda index: -np.nan_to_num(seen.rewards[index], nan=-np.inf))
        genes = seen.genes_at(places[:_KICKED])
        return genes[self.domain.inside(genes)] if len(genes) else genes
