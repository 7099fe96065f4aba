"""The base class of controllers: no network is proposed twice, and none outside the domain.

A controller proposes architectures (``ask``) and learns from finished trials (``tell``). ``tell`` accepts trials in any
order, including failed ones. Subclasses implement ``propose`` and ``learn``; the public methods check, count and record
the proposals. A user's own controller is such a subclass, given as ``FILE.py:Class``.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from nas.controllers.task import Task
from nas.core.errors import InputError
from nas.core.records import Architecture, Trial
from nas.core.user_code import describe
from nas.search_spaces import space as spaces

State = dict[str, Any]
LAST_DRAWS, DRAWN_AT_ONCE = 20_000, 2_000  # draws (total, per batch) before a domain too large to list is given up
_log = logging.getLogger(__name__)


class Controller(ABC):
    """Proposes architectures of a task's domain.

    Args:
        task: the domain of architectures and the reward function.
        seed: seed of the controller's own random generator; the same seed and the same ``tell`` calls give the same
            proposals.

    Attributes:
        name: the name given to ``--controller``.
        summary: a description in one line.
        learns: whether it can learn from the trials of an earlier run.
        attempts: maximum number of ``propose`` calls for one new architecture, after which one is drawn at random.
        pending: architectures that were proposed but not yet passed to ``tell``, in the order of proposal.
        filled: number of proposals drawn at random because ``propose`` returned no new architecture.
    """

    name: ClassVar[str] = "custom"
    summary: ClassVar[str] = ""
    learns: ClassVar[bool] = True
    attempts = 100

    def __init__(self, task: Task, seed: int) -> None:
        self.task, self.domain = task, task.domain
        self.generator = np.random.default_rng(np.random.SeedSequence([seed, 0]))
        self.pending: dict[Architecture, None] = {}
        self.filled = 0
        self._listed: list[tuple[Architecture, Hashable]] | None = None  # the domain's members and their networks' keys
        self._proposed: set[Hashable] = set()  # keys of networks
        self._known: set[Architecture] = set()  # genotypes of networks that were proposed: no need to decode them again

    @classmethod
    def fitted(cls, trials: int, given: Mapping[str, Any]) -> State:  # noqa: ARG003 (most fit any run)
        """Return option values that suit a number of trials, for options that are not ``given``.

        ``trials`` includes the trials of an earlier run. The method is used only for the class that defines it and not
        for its subclasses, which have options of their own.

        Raises:
            InputError: if a given option does not suit the number of trials.
        """
        return {}

    def ask(self, count: int) -> list[Architecture]:
        """Return up to ``count`` architectures whose networks were never proposed before.

        Fewer are returned only if no further new network was found in the domain. An empty list means that the domain
        is exhausted or, if it cannot be listed, that thousands of random draws contained no new network.
        """
        proposals: list[Architecture] = []
        if count < 1:
            return proposals
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
        """Learn from trials of an earlier run that are inside the domain; their architectures may be proposed again."""
        for trial in trials:
            if self.domain.admits(trial.architecture):
                self.learn(trial)

    def remember(self, architectures: Sequence[Architecture]) -> None:
        """Mark architectures as proposed, as after a restart, without learning from them."""
        self._proposed.update(self.domain.key(architecture) for architecture in architectures)
        self._known.update(architectures)

    def state_dict(self) -> State:
        """Return the state that determines future proposals, as plain JSON values.

        The list of past proposals is not included; the run stores it.
        """
        return {
            "name": self.name,
            "generator": self.generator.bit_generator.state,
            "pending": [list(architecture.genes) for architecture in self.pending],
            **self.own_state(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the state that ``state_dict`` returned.

        Raises:
            InputError: if the state belongs to another controller, or is damaged.
        """
        if not isinstance(state, Mapping):
            raise InputError(f"expected the state of controller '{self.name}' as a mapping, got {state!r:.80}")
        if state.get("name") != self.name:
            raise InputError(f"expected the state of controller '{self.name}', got that of {state.get('name')!r:.80}")
        try:
            self.generator.bit_generator.state = state["generator"]
            self.pending = dict.fromkeys(self.restored(genes) for genes in state["pending"])
            self.load_own_state(state)
        except InputError:
            raise
        except Exception as error:  # a damaged state can raise anything in a subclass
            raise InputError(
                f"the state of controller '{self.name}' is damaged, or from another version: {describe(error)}"
            ) from error

    def architecture(self, genes: Iterable[int]) -> Architecture:
        """Return the architecture of option indices."""
        return Architecture(self.domain.space.name, tuple(int(gene) for gene in genes))

    def restored(self, genes: Iterable[int]) -> Architecture:
        """Return the architecture of option indices from a saved state.

        Raises:
            InputError: if they are not a genotype of the space.
        """
        spaces.check(self.domain.space, restored := self.architecture(genes))
        return restored

    def prepare(self, count: int) -> None:  # noqa: B027 (most propose one by one)
        """Prepare for about ``count`` calls of ``propose``, if a batch of proposals is cheaper or better."""

    @abstractmethod
    def propose(self) -> Architecture | None:
        """Return a candidate, or ``None`` if there is none.

        ``propose`` is called again if the candidate is outside the domain or was proposed before.
        """

    def learn(self, trial: Trial) -> None:  # noqa: B027 (there may be nothing to learn)
        """Learn from one finished trial of any status."""

    def own_state(self) -> State:
        """Return the subclass's own state, without the generator's."""
        return {}

    def load_own_state(self, state: Mapping[str, Any]) -> None:  # noqa: B027 (there may be no state)
        """Restore what ``own_state`` returned."""

    def _fresh(self) -> Architecture | None:
        """Return a new architecture from ``propose``, or else a random one; ``None`` if none was found."""
        for _ in range(self.attempts):
            if (candidate := self.propose()) is not None:
                self._check(candidate)
                if self._is_new(candidate):
                    return candidate
        if not self.filled:
            _log.info(
                "controller %s proposed nothing new in %d attempts: drawing at random instead", self.name, self.attempts
            )
        self.filled += 1
        for _ in range(self.attempts):
            if (candidate := self.domain.sample(self.generator)) is not None and self._is_new(candidate):
                return candidate
        return self._drawn_from_listing() if self.domain.listable is not None else self._drawn_of_many()

    def _is_new(self, candidate: Architecture) -> bool:
        """Return whether a genotype is inside the domain and its network is new; if so, mark it as proposed."""
        if candidate in self._known or not self.domain.admits(candidate):
            return False
        self._known.add(candidate)
        if (key := self.domain.key(candidate)) in self._proposed:
            return False
        self._proposed.add(key)
        return True

    def _check(self, candidate: Any) -> None:
        """Check that a proposal is an architecture of the space.

        Raises:
            InputError: if it is not; the message gives the reason.
        """
        if not isinstance(candidate, Architecture) or not all(type(gene) is int for gene in candidate.genes):
            raise InputError(
                f"controller {self.name}: propose() has to return self.architecture(genes) or None, "
                f"got {candidate!r:.80}"
            )
        try:
            spaces.check(self.domain.space, candidate)
        except InputError as error:
            raise InputError(f"controller {self.name}: propose() returned genes {candidate.genes}: {error}") from None

    def _drawn_from_listing(self) -> Architecture | None:
        """Return a random new member of a domain that can be listed; ``None`` if there is none."""
        if self._listed is None:
            self._listed = [(member, self.domain.key(member)) for member in self._inside_listing()]
        new = [(member, key) for member, key in self._listed if key not in self._proposed]
        if not new:
            return None
        chosen, key = new[int(self.generator.integers(len(new)))]
        self._proposed.add(key)
        return chosen

    def _inside_listing(self) -> Iterator[Architecture]:
        listing = self.domain.listing()
        members = (self.architecture(genes) for genes in ([] if listing is None else listing.tolist()))
        return (member for member in members if self.domain.admits(member))

    def _drawn_of_many(self) -> Architecture | None:
        """Return the first new architecture among thousands of random draws, for domains too large to list."""
        at_once = min(DRAWN_AT_ONCE, self.domain.affordable)
        for _ in range(LAST_DRAWS // DRAWN_AT_ONCE):
            drawn = self.domain.sample_genes(self.generator, at_once)
            for genes in [] if drawn is None else drawn.tolist():
                if self._is_new(candidate := self.architecture(genes)):
                    return candidate
        return None
