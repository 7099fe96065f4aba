"""Reinforcement learning: a policy that is rewarded for good architectures (MnasNet, arXiv 1807.11626, section 4.2).

The defaults are those of NASNet (arXiv 1707.07012, appendix A.2): 100 LSTM units, Adam at 3.5e-4, batches of 20
architectures, a moving average of weight 0.95 as the baseline; PPO's clip is 0.2. Genotypes that were
proposed before or are outside the budget get no reward; new ones are drawn in their place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from nas.controllers.controller import Controller, State
from nas.controllers.packing import pack, unpack
from nas.controllers.task import Task
from nas.core.errors import InputError
from nas.core.records import Architecture, Trial

if TYPE_CHECKING:
    from nas.search_spaces.domain import Genes

_ALGORITHMS = ("ppo", "reinforce")
BATCH = 20
_MOST_HIDDEN = 4096
_LEAST_DRAWN = 64  # minimum number of genotypes drawn at once: the time depends little on the batch size
_MOST_BATCHES = 10  # maximum number of batches drawn for one proposal


class ReinforcementLearning(Controller):
    """An autoregressive LSTM policy trained by PPO or REINFORCE.

    Args:
        task: the domain of architectures and the reward function.
        seed: seed of the controller's random generator and of the policy's initial weights.
        algorithm: ``ppo`` or ``reinforce``.
        batch: number of finished architectures for each update.
        epochs: number of passes over a batch (PPO; REINFORCE makes one).
        clip: clipping range of PPO's ratio of probabilities.
        learning_rate: learning rate of Adam.
        entropy: weight of the entropy bonus.
        baseline: weight of the past in the moving average of rewards.
        normalise: whether advantages are divided by their root mean square over the batch.
        hidden: units of the LSTM.
    """

    name = "rl"
    summary = "LSTM policy over the decisions, trained by PPO or REINFORCE (Zoph et al. 2018, Tan et al. 2019)"
    learns = False

    def __init__(
        self,
        task: Task,
        seed: int,
        *,
        algorithm: str = "ppo",
        batch: int = BATCH,
        epochs: int = 4,
        clip: float = 0.2,
        learning_rate: float = 3.5e-4,
        entropy: float = 0.03,
        baseline: float = 0.95,
        normalise: bool = True,
        hidden: int = 100,
    ) -> None:
        super().__init__(task, seed)
        _check(algorithm, batch, epochs, hidden, {"clip": clip, "learning_rate": learning_rate}, baseline, entropy)
        import torch

        from nas.controllers.rl.policy import Policy

        self.algorithm, self.batch, self.epochs, self.clip = algorithm, batch, epochs, clip
        self.entropy, self.weight, self.normalise = entropy, baseline, normalise
        self.policy = Policy(task.domain.space.gene_sizes, hidden, self.generator)
        self._optimizer = torch.optim.Adam(self.policy.parameters(), lr=learning_rate)
        self.baseline: float | None = None
        self._drawn: dict[Architecture, list[float]] = {}  # log-probabilities of running trials when drawn
        self._finished: list[tuple[list[int], list[float], float]] = []  # genes, log-probabilities, reward
        self._queue: list[tuple[list[int], list[float]]] = []
        self._packed: State | None = None
        self._batches_left = self._wanted = 0

    @classmethod
    def fitted(cls, trials: int, given: Mapping[str, Any]) -> State:  # noqa: ARG003 (depends on nothing else)
        """Return 20 for ``batch``, but at most a fifth of the trials."""
        return {"batch": max(min(trials // 5, BATCH), 1)}

    def prepare(self, count: int) -> None:
        """Discard queued genotypes; ``propose`` draws new ones for ``count`` proposals with the current policy."""
        self._queue = []
        self._batches_left = _MOST_BATCHES * count
        self._wanted = count

    def propose(self) -> Architecture | None:
        """Return the next genotype that the policy drew within the budget; ``None`` if there is none."""
        if not self._queue and self._batches_left > 0:
            self._batches_left -= 1
            self._draw(max(2 * self._wanted, _LEAST_DRAWN))
        if not self._queue:
            return None
        genes, logarithms = self._queue.pop(0)
        architecture = self.architecture(genes)
        if architecture not in self.pending:
            self._drawn[architecture] = logarithms
        return architecture

    def learn(self, trial: Trial) -> None:
        """Update the policy whenever a batch is complete. Failures, and networks that it did not draw, are ignored."""
        logarithms = self._drawn.pop(trial.architecture, None)
        if logarithms is None or trial.reward is None:
            return
        self._finished.append((list(trial.architecture.genes), logarithms, trial.reward))
        if len(self._finished) >= self.batch:
            self._update()

    def own_state(self) -> State:
        """Return the policy, its optimiser, running trials, and for reports the greedy genotype and its entropies."""
        self._drawn = {one: drawn for one, drawn in self._drawn.items() if one in self.pending}
        return {
            **self._learned_state(),
            "baseline": self.baseline,
            "drawn": [[list(one.genes), logarithms] for one, logarithms in self._drawn.items()],
            "finished": self._finished,
        }

    def load_own_state(self, state: Mapping[str, Any]) -> None:
        """Restore the policy, its optimiser and the running trials."""
        import torch

        weights = {name: torch.from_numpy(unpack(packed)) for name, packed in state["weights"].items()}
        self.policy.load_state_dict(weights)
        groups = self._optimizer.state_dict()["param_groups"]
        moments = {
            int(place): {name: torch.from_numpy(unpack(packed)) for name, packed in values.items()}
            for place, values in state["optimizer"].items()
        }
        self._optimizer.load_state_dict({"state": moments, "param_groups": groups})
        self.baseline = None if state["baseline"] is None else float(state["baseline"])
        self._drawn = {self.restored(genes): list(logarithms) for genes, logarithms in state["drawn"]}
        self._finished = [
            (list(self.restored(genes).genes), list(drawn), float(reward)) for genes, drawn, reward in state["finished"]
        ]
        self._packed = None

    def _draw(self, count: int) -> None:
        with _one_thread():
            genes, logarithms = self.policy.sample(count, self.generator)
        kept = self._inside(genes)
        self._queue = list(zip(genes[kept].tolist(), logarithms[kept].tolist(), strict=True))

    def _inside(self, genes: Genes) -> Genes:
        """Return the indices of genotypes within the budget; all indices if the check would be slow."""
        if len(genes) > self.domain.affordable:
            return np.arange(len(genes))
        return np.flatnonzero(self.domain.inside(genes))

    def _update(self) -> None:
        """Improve the policy on the finished batch."""
        import torch

        from nas.controllers.rl.losses import advantages, moving_average, ppo_loss, reinforce_loss

        genes = torch.tensor([genes for genes, _, _ in self._finished])
        old = torch.tensor([logarithms for _, logarithms, _ in self._finished])
        rewards = torch.tensor([reward for _, _, reward in self._finished], dtype=torch.float32)
        self._finished = []
        self.baseline = moving_average(self.baseline, rewards, self.weight)
        advantage = advantages(rewards, self.baseline, self.normalise)
        with _one_thread():
            for _ in range(self.epochs if self.algorithm == "ppo" else 1):
                new, entropies = self.policy(genes)
                ppo = self.algorithm == "ppo"
                loss = ppo_loss(new, old, advantage, self.clip) if ppo else reinforce_loss(new, advantage)
                loss = loss - self.entropy * entropies.sum(dim=1).mean()
                self._optimizer.zero_grad()
                loss.backward()
                self._optimizer.step()
        self._packed = None

    def _learned_state(self) -> State:
        """Return the part of the state that changes only with an update."""
        if self._packed is None:
            genes, entropies = self.policy.greedy()
            moments = self._optimizer.state_dict()["state"]
            self._packed = {
                "weights": {name: pack(tensor.numpy()) for name, tensor in self.policy.state_dict().items()},
                "optimizer": {
                    str(place): {name: pack(tensor.numpy()) for name, tensor in values.items()}
                    for place, values in moments.items()
                },
                "greedy": genes,
                "entropies": entropies,
            }
        return self._packed


def _check(
    algorithm: str, batch: int, epochs: int, hidden: int, positive: Mapping[str, float], baseline: float, entropy: float
) -> None:
    if algorithm not in _ALGORITHMS:
        raise InputError(f"controller.algorithm: expected {' or '.join(_ALGORITHMS)}, got '{algorithm}'")
    if hidden > _MOST_HIDDEN:
        raise InputError(f"controller.hidden: expected at most {_MOST_HIDDEN}, got {hidden}")
    for name, count in (("batch", batch), ("epochs", epochs), ("hidden", hidden)):
        if count < 1:
            raise InputError(f"controller.{name}: expected at least 1, got {count}")
    for name, value in positive.items():
        if not value > 0:
            raise InputError(f"controller.{name}: expected a number above 0, got {value}")
    if not 0 <= baseline < 1:
        raise InputError(f"controller.baseline: expected a weight from 0 to below 1, got {baseline}")
    if entropy < 0:
        raise InputError(f"controller.entropy: expected 0 or more, got {entropy}")


@contextmanager
def _one_thread() -> Iterator[None]:
    """Limit torch to one thread: the matrices are too small for more, and sums are the same on every machine."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
