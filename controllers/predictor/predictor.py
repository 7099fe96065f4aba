"""Predictor-guided search: only the accuracy has to be learned, since costs are exact and free before any training.

A Gaussian process predicts the accuracy with its uncertainty; the reward of an optimistic accuracy, ``mean + kappa *
deviation`` (upper confidence bound, Srinivas et al. 2010), and the exact costs is maximised over tens of thousands of
genotypes inside the band. Trials that are still running take uncertainty away, so that many workers do not get near
copies (GP-BUCB, Desautels et al. 2014). With several objectives each proposal maximises another random scalarisation
of them, of which the expectation is the hypervolume (Zhang and Golovin 2020, arXiv 2006.04655), over candidates that a
few others were searched for.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import cache
from itertools import islice
from typing import Any

import numpy as np

from nas.controllers.controller import Controller, State
from nas.controllers.objectives import ACCURACY, REWARD, Objectives, Watch, known_metrics
from nas.controllers.predictor.batches import Accept, Beliefs, pick, pick_spread
from nas.controllers.predictor.gaussian_process import GaussianProcess
from nas.controllers.predictor.inner_search import best_candidates, distinct
from nas.controllers.predictor.model import Model
from nas.controllers.predictor.scalarisation import Scalarisation
from nas.controllers.task import Numbers, Task
from nas.core.errors import InputError
from nas.core.records import Architecture, Trial
from nas.search_spaces.domain import Columns, Genes

POOL = 400  # best candidates of which a batch is picked
DESIGN = 800  # candidates of which the first networks are picked
DESIGN_NOISE = 0.3
MOST_TAKEN = 200  # networks proposed before that a design takes into account
KICKED = 50  # best networks so far from which the inner search begins
WEIGHTINGS = 4  # scalarisations for which candidates of one batch are looked for
DISCOURAGED = 1e6  # ranges of the objective, taken from the score of what more likely fails than not
INITIAL, LEAST_INITIAL = 12, 4


class Predictor(Controller):
    """Proposes what is predicted, optimistically, to have the highest reward.

    Args:
        task: what may be proposed and what it is worth.
        seed: of the controller's generator.
        initial: results of networks spread over the space that come before the first prediction.
        kappa: optimism: how many deviations above its mean an accuracy is hoped to be.
        candidates: genotypes looked at for each batch of proposals (fewer where costs have to be counted one by one).
        most: results that predictions take into account; of more, the better half and some of the others.
        objectives: ``reward``, or several: names of metrics such as ``accuracy``, ``macs``, ``max:NAME``; those that
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
        self._watch = Watch("controller.objectives", self.model.metrics)
        self._queue: list[Architecture] = []
        self._has_copies = False  # whether genotypes were met that are networks proposed before

    @classmethod
    def fitted(cls, trials: int, given: Mapping[str, Any]) -> State:
        """A third of the trials as the first networks, from 4 to 12.

        Raises:
            InputError: if more are given than there are trials: nothing would ever be predicted.
        """
        initial = given.get("initial", max(min(trials // 3, INITIAL), min(LEAST_INITIAL, max(trials, 2))))
        if "initial" in given and initial > trials:
            raise InputError(f"controller.initial: expected at most the run's {trials} trials, got {initial}")
        return {"initial": initial}

    def prepare(self, count: int) -> None:
        """Work out the next proposals, best first."""
        results = len(self.model.observations.places("ok"))
        self._queue = self._predicted(count) if results >= self.initial else self._spread_out(count)

    def propose(self) -> Architecture | None:
        """Return the next of the proposals that were worked out."""
        return self._queue.pop(0) if self._queue else None

    def tell(self, trials: Sequence[Trial]) -> None:
        """Take in finished trials."""
        super().tell(trials)
        self._watch.see(trials)

    def learn(self, trial: Trial) -> None:
        """Remember a trial; failures are remembered as such."""
        self.model.observations.add(trial, self.model.metrics, earlier=False)

    def warm_start(self, trials: Sequence[Trial]) -> None:
        """Learn from an earlier run, however its networks were trained."""
        for trial in trials:
            self.model.observations.add(trial, self.model.metrics, earlier=True)

    def own_state(self) -> State:
        """Return what was observed and the model's hyperparameters."""
        return {**self.model.state(), "has_copies": self._has_copies}

    def load_own_state(self, state: Mapping[str, Any]) -> None:
        """Restore what was observed and the model's hyperparameters."""
        self.model.load_state(state)
        for genes in [*self.model.observations.genes, *self.model.impossible]:
            self.restored(genes)
        if self.model.observations.places("ok"):
            self._watch.trust()
        self._has_copies = bool(state["has_copies"])

    def _modelled(self) -> dict[str, bool]:
        """Return the metrics that have to be predicted, and whether more of them is better.

        They are those of the objectives that are not known before training.
        """
        known = known_metrics(self.domain)
        signs = zip(self.objectives.names, self.objectives.signs, strict=True)
        wanted = {ACCURACY if name == REWARD else name: sign > 0 for name, sign in signs}
        if not (modelled := {name: rises for name, rises in wanted.items() if name not in known}):
            raise InputError(
                f"controller.objectives: {', '.join(self.objectives.names)} are known without any trial; "
                "name one that has to be learned, such as accuracy"
            )
        return modelled

    def _acceptable(self, architecture: Architecture) -> bool:
        """Say whether a candidate is a new network inside the domain; remember what it is if not."""
        if not self.domain.admits(architecture):
            self.model.impossible[architecture.genes] = None
            return False
        copy = self.domain.key(architecture) in self._proposed
        self._has_copies |= copy
        return not copy

    def _pick(self, picker: Callable[[Accept], list[int]], candidates: Genes) -> list[Architecture]:
        """Return the architectures that are picked from candidates, each another network inside the domain."""
        keys: set[Hashable] = set()

        def accept(place: int) -> bool:
            architecture = self.architecture(candidates[place])
            if not self._acceptable(architecture) or (key := self.domain.key(architecture)) in keys:
                return False
            keys.add(key)
            return True

        return [self.architecture(candidates[place]) for place in picker(accept)]

    def _spread_out(self, count: int) -> list[Architecture]:
        """Return networks that together say most about the space, given those proposed already."""
        drawn = self.domain.sample_genes(self.generator, min(DESIGN, self.candidates))
        if drawn is None:
            return []
        before = [*self.model.observations.genes, *(architecture.genes for architecture in self.pending)]
        taken = np.array(before[-MOST_TAKEN:], dtype=np.int64).reshape(-1, drawn.shape[1])
        candidates = np.concatenate([taken, drawn[distinct(drawn)]])
        covariance = GaussianProcess(self.model.features).prior_covariance(self.model.rows(candidates))
        closed = range(len(taken))
        return self._pick(lambda accept: pick_spread(covariance, DESIGN_NOISE, closed, count, accept), candidates)

    def _predicted(self, count: int) -> list[Architecture]:
        """Return the candidates of the highest optimistic reward, picked one after another."""
        self.model.refresh([architecture.genes for architecture in self.pending])
        single = len(self.objectives.names) == 1
        scale = Scalarisation.of(self._observed_objectives())
        weightings = [scale.draw(self.generator) for _ in range(1 if single else min(count, WEIGHTINGS))]
        pools = [self._pool(scale, weights) for weights in weightings]
        pool = np.concatenate(pools)
        pool = pool[distinct(pool)]
        if not len(pool):
            return []
        costs = self.domain.costs(pool)
        rows = self.model.features.of(pool, costs)
        discouraged = DISCOURAGED * scale.unit * self.model.doubt(rows)
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
            return values - DISCOURAGED * scale.unit * self.model.doubt(rows)

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
        return np.array(list(islice(new, POOL)), dtype=np.int64).reshape(-1, found.shape[1])

    def _network(self, genes: tuple[int, ...]) -> Hashable:
        """Return what tells a genotype's network apart; ``None`` where it makes none, or one that was proposed."""
        try:
            key = self.domain.key(self.architecture(genes))
        except InputError:
            return None
        return None if key in self._proposed else key

    def _optimistic(self, costs: Columns, means: dict[str, Numbers], stds: dict[str, Numbers]) -> Numbers:
        """Return the objectives ``(n, objectives)``, all to maximise, of what is hoped for."""
        columns = dict(costs)
        for name, mean in means.items():
            columns[name] = mean + self._rising.get(name, 1) * self.kappa * stds[name]
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
        """Return the networks of the highest rewards so far that lie inside the domain."""
        seen = self.model.observations
        places = sorted(seen.places("ok"), key=lambda index: -np.nan_to_num(seen.rewards[index], nan=-np.inf))
        genes = seen.genes_at(places[:KICKED])
        return genes[self.domain.inside(genes)] if len(genes) else genes
