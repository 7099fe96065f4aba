"""The controller's contract, and what all of ours share: nothing twice, nothing outside the domain.

A controller proposes architectures (``ask``) and learns from finished trials (``tell``), in any order, failures
included. Subclasses write ``propose`` and ``learn``; the public methods check, count and remember. One of your own is
such a subclass in ``FILE.py:Class``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from nas.controllers.task import Task
from nas.search_spaces import space as spaces
from nas.search_spaces.errors import InputError
from nas.search_spaces.records import Architecture, Trial
from nas.search_spaces.user_code import describe

State = dict[str, Any]


class Controller(ABC):
    """Proposes architectures of a task's domain.

    Args:
        task: what may be proposed and what it is worth.
        seed: of the controller's own generator; the same seed and the same ``tell`` calls give the same proposals.

    Attributes:
        name: as people type it.
        summary: what it does, in one line.
        learns: whether trials of an earlier run can help it.
        attempts: how often ``propose`` is called for one new architecture before one is drawn at random.
        pending: what was proposed and not told yet, in the order of proposal.
    """

    name: ClassVar[str] = "custom"
    summary: ClassVar[str] = ""
    learns: ClassVar[bool] = True
    attempts = 100

    def __init__(self, task: Task, seed: int) -> None:
        self.task, self.domain = task, task.domain
        self.generator = np.random.default_rng(np.random.SeedSequence([seed, 0]))
        self.pending: dict[Architecture, None] = {}
        self._proposed: set[Hashable] = set()  # keys of networks
        self._known: set[Architecture] = set()  # genotypes of networks that were proposed: no need to decode them again

    def ask(self, count: int) -> list[Architecture]:
        """Return up to ``count`` architectures whose networks were never proposed before.

        Fewer come back only when no new network was found in the domain; none at all means that it is exhausted.
        """
        proposals: list[Architecture] = []
        self.prepare(count)
        while len(proposals) < count and (architecture := self._fresh()) is not None:
            self.pending[architecture] = None
            proposals.append(architecture)
        return proposals

    def tell(self, trials: Sequence[Trial]) -> None:
        """Learn from finished trials."""
        for trial in trials:
            self.pending.pop(trial.architecture, None)
            self.learn(trial)

    def warm_start(self, trials: Sequence[Trial]) -> None:
        """Learn from the trials of an earlier run that are inside the domain; all of them may be proposed again."""
        for trial in trials:
            if self.domain.admits(trial.architecture):
                self.learn(trial)

    def remember(self, architectures: Sequence[Architecture]) -> None:
        """Count architectures as proposed, as after a restart; nothing is learned."""
        self._proposed.update(self.domain.key(architecture) for architecture in architectures)
        self._known.update(architectures)

    def state_dict(self) -> State:
        """Return all that decides future proposals, as plain JSON values; what was proposed is the run's to keep."""
        return {
            "name": self.name,
            "generator": self.generator.bit_generator.state,
            "pending": [list(architecture.genes) for architecture in self.pending],
            **self.own_state(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore ``state_dict``'s values.

        Raises:
            InputError: if they are another controller's.
        """
        if state.get("name") != self.name:
            raise InputError(f"expected the state of controller '{self.name}', got that of '{state.get('name')}'")
        try:
            self.generator.bit_generator.state = state["generator"]
            self.pending = dict.fromkeys(self.architecture(genes) for genes in state["pending"])
            self.load_own_state(state)
        except InputError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            raise InputError(f"the state of controller '{self.name}' is damaged: {describe(error)}") from error

    def architecture(self, genes: Iterable[int]) -> Architecture:
        """Return the architecture of option indices."""
        return Architecture(self.domain.space.name, tuple(int(gene) for gene in genes))

    def prepare(self, count: int) -> None:  # noqa: B027 (most propose one by one)
        """Get ready for about ``count`` calls of ``propose``, where many at once are cheaper or better."""

    @abstractmethod
    def propose(self) -> Architecture | None:
        """Return a candidate; it may be outside the domain or known, then ``propose`` is called again."""

    def learn(self, trial: Trial) -> None:  # noqa: B027 (there may be nothing to learn)
        """Take in one finished trial of any status."""

    def own_state(self) -> State:
        """Return a subclass's state beside the generator's."""
        return {}

    def load_own_state(self, state: Mapping[str, Any]) -> None:  # noqa: B027 (there may be no state)
        """Restore what ``own_state`` returned."""

    def _fresh(self) -> Architecture | None:
        """Return a new architecture: the algorithm's, else a drawn one, else a listed one; ``None`` if none is left."""
        for attempt in range(2 * self.attempts):
            candidate = self.propose() if attempt < self.attempts else self.domain.sample(self.generator)
            if candidate is None or candidate in self._known:
                continue
            self._check(candidate)
            if self.domain.admits(candidate):
                self._known.add(candidate)
                key = self.domain.key(candidate)
                if key not in self._proposed:
                    self._proposed.add(key)
                    return candidate
        return self._listed()

    def _check(self, candidate: Any) -> None:
        """Check that a proposal is an architecture of the space.

        Raises:
            InputError: saying what is wrong with it.
        """
        if not isinstance(candidate, Architecture):
            raise InputError(
                f"controller {self.name}: propose() has to return self.architecture(genes) or None, "
                f"got {candidate!r:.80}"
            )
        try:
            spaces.check(self.domain.space, candidate)
        except InputError as error:
            raise InputError(f"controller {self.name}: propose() gave genes {candidate.genes}: {error}") from None

    def _listed(self) -> Architecture | None:
        """Return a new member of a domain that can be listed, at random."""
        if self.domain.listable is None or (listing := self.domain.listing()) is None:
            return None
        members = [self.architecture(genes) for genes in listing]
        new = [member for member in members if self.domain.key(member) not in self._proposed]
        if not new:
            return None
        self._proposed.add(self.domain.key(chosen := new[int(self.generator.integers(len(new)))]))
        return chosen
