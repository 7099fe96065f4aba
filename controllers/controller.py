"""The controller's contract, and what all of ours share: nothing twice, nothing outside the domain.

A controller proposes architectures (``ask``) and learns from finished trials (``tell``), in any order, failures
included. Subclasses write ``propose`` and ``learn``; the public methods check, count and remember.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from nas.search_spaces.domain import Domain
from nas.search_spaces.errors import InputError
from nas.search_spaces.records import Architecture, Trial

State = dict[str, Any]


class Controller(ABC):
    """Proposes architectures of a domain.

    Args:
        domain: what may be proposed.
        seed: of the controller's own generator; the same seed and the same ``tell`` calls give the same proposals.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    attempts = 100

    def __init__(self, domain: Domain, seed: int) -> None:
        self.domain = domain
        self.generator = np.random.default_rng(np.random.SeedSequence([seed, 0]))
        self._proposed: set[Hashable] = set()

    def ask(self, count: int) -> list[Architecture]:
        """Return up to ``count`` architectures whose networks were never proposed before.

        Fewer come back only when no new network was found in the domain; none at all means that it is exhausted.
        """
        proposals: list[Architecture] = []
        while len(proposals) < count and (architecture := self._fresh()) is not None:
            self._proposed.add(self.domain.key(architecture))
            proposals.append(architecture)
        return proposals

    def tell(self, trials: Sequence[Trial]) -> None:
        """Learn from finished trials."""
        for trial in trials:
            self.learn(trial)

    def remember(self, architectures: Sequence[Architecture]) -> None:
        """Count architectures as proposed, as after a restart."""
        self._proposed.update(self.domain.key(architecture) for architecture in architectures)

    def state_dict(self) -> State:
        """Return all that decides future proposals, as plain JSON values; what was proposed is the run's to keep."""
        return {"name": self.name, "generator": self.generator.bit_generator.state, **self.own_state()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore ``state_dict``'s values.

        Raises:
            InputError: if they are another controller's.
        """
        if state.get("name") != self.name:
            raise InputError(f"expected the state of controller '{self.name}', got that of '{state.get('name')}'")
        self.generator.bit_generator.state = state["generator"]
        self.load_own_state(state)

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
            if candidate is not None and self.domain.admits(candidate) and self._is_new(candidate):
                return candidate
        members = self.domain.members()
        new = [member for member in members or () if self._is_new(member) and self.domain.admits(member)]
        return new[int(self.generator.integers(len(new)))] if new else None

    def _is_new(self, architecture: Architecture) -> bool:
        return self.domain.key(architecture) not in self._proposed
