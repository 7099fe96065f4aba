"""The search loop: ask, evaluate, journal, tell. Display and files are handled elsewhere."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from types import MappingProxyType
from typing import Any

from nas.controllers.controller import Controller
from nas.core.callback import Callback
from nas.core.errors import InputError, WorkError
from nas.core.records import Architecture, Trial
from nas.evaluate.workers.pool import Finished, WorkerPool
from nas.search.assemble import Setup
from nas.search.controller_faults import worded_faults
from nas.search.fidelity import Verdicts, make_fidelity
from nas.search.run_directory import Run
from nas.search.time_budget import TimeAccount
from nas.search.trials import Pending, evaluated_trial, finished_trial, make_job
from nas.search_spaces import space as spaces

_log = logging.getLogger(__name__)
POLL_S = 0.25
SPENT = "spent.json"
MOST_TRIALS = 10**9  # numbers of trials are below
_SAME_ERROR_LIMIT = 3


class SearchLoop:
    """Runs trials until the journal holds the configured number of them.

    In the default mode the controller is told every trial when it ends, in the order of the journal. In deterministic
    mode the controller is told trials in the order of their numbers. Before it is asked for trial ``n``, it has been
    told exactly the trials up to ``n - workers``, so that proposals depend on trial numbers alone.

    Args:
        setup: the parts of the run.
        run: the run directory; the loop continues from its journal and checkpoint.
        controller: the controller that proposes architectures.
        pool: the workers that evaluate them.
        callback: observes the search.
        time_account: account of the time budget; ``None``: there is no time budget.

    Attributes:
        exhausted: whether the controller found no further network in the domain.
        spent: whether the time budget was used up before all trials were done.
    """

    def __init__(
        self,
        setup: Setup,
        run: Run,
        controller: Controller,
        pool: WorkerPool,
        callback: Callback,
        time_account: TimeAccount | None = None,
    ) -> None:
        self.setup, self.run, self.controller, self.pool, self.callback = setup, run, controller, pool, callback
        self.goal = setup.config.trials
        self.lag = max(1, setup.worker_count) if setup.config.workers.deterministic else None
        self.exhausted, self.spent, self.time_account = False, False, time_account
        self._told = 0
        self._in_flight: dict[int, Pending] = {}
        self._waiting: list[Pending] = []
        self._paused: dict[int, Pending] = {}
        self._fidelity = make_fidelity(setup.config, run, setup.reward)
        self._finished = {trial.number: trial for trial in run.trials}
        self._used_before: set[int] = set(self._finished)
        self._number = self._unused(0)

    def __call__(self) -> None:
        """Run to the end.

        Raises:
            WorkError: if the first trials all fail with the same exception in the evaluator's code, or the journal
                cannot be written.
        """
        self._restore()
        try:
            while len(self.run.trials) < self.goal:
                self._ask()
                self._submit()
                if not self._in_flight:
                    break
                self._record(self.pool.gather(POLL_S))
                self.callback.tick()
        finally:
            with suppress(WorkError):  # a full disk has been reported by then
                self._save_spent()
        checkpoints = [pending.checkpoint for pending in self._paused.values()]
        self._write([self._pruned(number) for number in list(self._paused)], checkpoints)

    def _ask(self) -> None:
        """Tell the controller the trials that have ended, and ask it for one proposal for each free worker."""
        while (free := self._free()) > 0:
            if not self._tell():
                return
            with self._calling("ask"):
                proposals = self._taken_over() or self.controller.ask(free if self.lag is None else 1)
            if not isinstance(proposals, list):
                raise InputError(
                    f"controller {self._controller_name}: ask() has to return a list, got {proposals!r:.80}"
                )
            for architecture in proposals:
                self._waiting.append(Pending(self._number, architecture))
                self._number = self._unused(self._number + 1)
            self.exhausted = not proposals
            if proposals:
                self._checkpoint()

    def _taken_over(self) -> list[Architecture]:
        """Return the next network of an earlier run on other images; empty if all have been proposed."""
        begun = {one.architecture for one in (*self._in_flight.values(), *self._waiting, *self._paused.values())}
        begun |= {trial.architecture for trial in self._finished.values()}
        left = [architecture for architecture in self.setup.taken if architecture not in begun][:1]
        if left:
            self.controller.remember(left)
        return left

    def _submit(self) -> None:
        """Start promoted trials, then waiting proposals, on free workers."""
        while len(self._in_flight) < self.pool.capacity and self._affords():
            if promoted := self._verdicts().promoted:
                pending = self._paused.pop(promoted[0])
            elif self._waiting:
                pending = self._waiting.pop(0)
            else:
                return
            job = self._fidelity.job(make_job(self.setup, pending.number, pending.architecture))
            pending.checkpoint = job.checkpoint
            self._in_flight[pending.number] = pending
            self.pool.submit(job)
            self.callback.trials_running(len(self._in_flight))

    def _record(self, outcomes: Sequence[Finished]) -> None:
        """Pause the trials that are not final; write all final trials to the journal together."""
        if not outcomes:
            return
        if self.time_account is not None:
            self.time_account.took(*(evaluation.seconds for _, evaluation in outcomes))
            self._save_spent()
        trials, details, checkpoints = [], {}, []
        for job, evaluation in outcomes:
            pending = self._in_flight.pop(job.number)
            pending.seconds += evaluation.seconds
            trial = evaluated_trial(self.setup, pending, job, evaluation)
            if self._fidelity.record(trial):
                pending.metrics = trial.metrics
                self._paused[job.number] = pending
            else:
                trials.append(trial)
                details[trial.number] = evaluation.details
                checkpoints.append(pending.checkpoint)
        for number in self._verdicts().pruned:
            checkpoints.append(self._paused[number].checkpoint)
            trials.append(self._pruned(number))
        self._write(trials, checkpoints, details)
        self.callback.trials_running(len(self._in_flight))
        self._check_same_error(outcomes)

    def _write(
        self, trials: Sequence[Trial], checkpoints: Sequence[str], details: Mapping[int, str] = MappingProxyType({})
    ) -> None:
        """Write trials that are final to the journal, and delete their checkpoints."""
        if not trials:
            return
        self.run.append(trials)
        for trial in trials:
            self._finished[trial.number] = trial
            self.callback.trial_finished(trial, details.get(trial.number, ""))
        if keys := [key for key in checkpoints if key]:
            self.pool.forget(keys)

    def _pruned(self, number: int) -> Trial:
        """Remove a trial from the paused trials and return it with the status ``pruned``."""
        pending = self._paused.pop(number)
        trial = finished_trial(self.setup, pending, "pruned", pending.metrics)
        self._fidelity.record(trial)
        return trial

    def _verdicts(self) -> Verdicts:
        return self._fidelity.verdicts(none_to_come=self._left() <= 0 and not self._waiting)

    def _check_same_error(self, outcomes: Sequence[Finished]) -> None:
        """Stop early if the first trials all fail with the same exception: the fault is in the code, not the networks.

        Stop at once if the images are gone, because no network can be trained without them.

        Raises:
            WorkError: in both cases, with the command that resumes the run.
        """
        for _, evaluation in outcomes:
            if evaluation.fault == "data":
                raise WorkError(f"{evaluation.error}. Put them back, then: {self.run.resume_command}")
        if any(evaluation.fault != "exception" for _, evaluation in outcomes):
            return
        errors = {trial.error for trial in self.run.trials}
        if not self._paused and len(errors) == 1 and len(self.run.trials) >= min(_SAME_ERROR_LIMIT, self.goal):
            raise WorkError(
                f"the first {len(self.run.trials)} trials all failed with the same error: {errors.pop()}\n"
                f"{outcomes[-1][1].details.rstrip()}\nFix it, then: {self.run.resume_command}"
            )

    def _tell(self) -> bool:
        """Tell the controller the trials that must precede the next proposal; ``False`` if some have not ended."""
        if self.lag is None:
            trials = self.run.trials[self._told :]
        else:
            finished = self._finished
            numbers = range(self._told, self._number - self.lag + 1)
            if any(number not in finished for number in numbers):
                return False
            trials = [finished[number] for number in numbers]
        with self._calling("tell"):
            self.controller.tell([self._fidelity.told(trial) for trial in trials])
        self._told += len(trials)
        return True

    def _left(self) -> int:
        """Return how many trials are still to be proposed."""
        begun = len(self._in_flight) + len(self._waiting) + len(self._paused)
        return 0 if self.exhausted or self.spent else self.goal - len(self.run.trials) - begun

    def _affords(self) -> bool:
        """Return whether the time budget allows one more training.

        While no trial has succeeded, the best paused trials may still be promoted after the budget is used up.
        """
        if self.time_account is None:
            return True
        if not self.time_account.allows(len(self._in_flight)):
            self.spent = True
            self._waiting.clear()  # they stay in the checkpoint, for a resumed run with a larger budget
        if not self.spent:
            return True
        succeeded = any(trial.status == "ok" for trial in self.run.trials)
        return not succeeded and not self._in_flight and bool(self._verdicts().promoted)

    def _free(self) -> int:
        """Return how many proposals to ask for: workers that no running, waiting or promoted trial needs."""
        busy = len(self._in_flight) + len(self._waiting) + len(self._verdicts().promoted)
        return min(self.pool.capacity - busy, self._left())

    def _unused(self, number: int) -> int:
        """Return the smallest number from ``number`` on that was not used before this process began."""
        while number in self._used_before:
            number += 1
        return number

    def _checkpoint(self) -> None:
        proposals = [*self._in_flight.values(), *self._paused.values(), *self._waiting]
        with self._calling("state_dict"):
            self.run.save_checkpoint(
                {
                    "controller": self.controller.state_dict(),
                    "told": self._told,
                    "pending": [[pending.number, list(pending.architecture.genes)] for pending in proposals],
                }
            )

    def _calling(self, method: str) -> AbstractContextManager[None]:
        """Return the context for a call of one of the controller's methods."""
        return worded_faults(self._controller_name, method, self.run.resume_command)

    @property
    def _controller_name(self) -> str:
        return str(self.setup.config.controller["name"])

    def _save_spent(self) -> None:
        """Write the wall-clock time that has been spent and each worker's share of a GPU to ``spent.json``."""
        spent = {} if self.time_account is None else {"clock_s": self.time_account.clock_s}
        if self.pool.gpus_per_worker:
            spent["gpus_per_worker"] = self.pool.gpus_per_worker
        if spent:
            self.run.write(SPENT, json.dumps(spent))

    def _restore_time_account(self) -> None:
        """Restore the time that earlier processes spent."""
        if self.time_account is not None:
            self.time_account.before_s = float(self.run.read(SPENT).get("clock_s", 0.0))
            self.time_account.took(*(trial.seconds for trial in self.run.trials))
            self.time_account.took(*(pending.seconds for pending in self._paused.values()))

    def _restore(self) -> None:
        """Restore the journal and the checkpoint. Proposals without a journal line are evaluated again."""
        with self._calling("remember"):
            self.controller.remember([trial.architecture for trial in self.run.trials])
        checkpoint = self.run.load_checkpoint(("controller", "told", "pending"))
        if checkpoint is None:
            self._fidelity.restore([], self._finished.values())
            self._restore_time_account()
            with self._calling("warm_start"):
                self.controller.warm_start(self.setup.earlier)
            if self.run.trials:
                _log.warning("%s: no usable controller checkpoint; a new controller is told all trials", self.run.path)
            return
        try:
            if checkpoint["controller"] is None:  # failed trials were set aside: a new controller is told the others
                with self._calling("warm_start"):
                    self.controller.warm_start(self.setup.earlier)
            else:
                with self._calling("load_state_dict"):
                    self.controller.load_state_dict(checkpoint["controller"])
            self._told, self._waiting = self._checked_told(checkpoint["told"]), self._unfinished(checkpoint["pending"])
        except (InputError, ValueError, TypeError) as error:
            raise InputError(
                f"{self.run.path}/controller.json: {error}; delete that file, and a new controller is told all trials"
            ) from None
        self.controller.remember([pending.architecture for pending in self._waiting])
        waiting = sorted(self._waiting, key=lambda pending: pending.number)
        self._used_before |= {pending.number for pending in waiting}
        self._paused = self._fidelity.restore(waiting, self._finished.values())
        self._restore_time_account()
        waiting = [pending for pending in waiting if pending.number not in self._paused]
        self._waiting = waiting[: max(0, self.goal - len(self.run.trials) - len(self._paused))]
        self._number = self._unused(0)

    def _unfinished(self, pending: Sequence[Sequence[Any]]) -> list[Pending]:
        """Return the proposals of a checkpoint that have no journal line.

        Raises:
            InputError, ValueError, TypeError: if they are not proposals of this space.
        """
        space, found, numbers = self.setup.space, [], set[int]()
        for number, genes in pending:
            if type(number) is not int or not 0 <= number < MOST_TRIALS or number in numbers:
                raise ValueError(f"'pending' holds the number {number!r:.40}, which is none of a trial or occurs twice")
            numbers.add(number)
            spaces.check(space, architecture := Architecture(space.name, tuple(genes)))
            if number not in self._finished:
                found.append(Pending(number, architecture))
        return found

    def _checked_told(self, told: Any) -> int:
        """Return how many trials the controller of a checkpoint has been told.

        Raises:
            ValueError: if it is more than there are.
        """
        most = len(self.run.trials) if self.lag is None else max(self._finished, default=-1) + 1
        if type(told) is not int or not 0 <= told <= most:
            raise ValueError(f"'told' is {told!r:.40}, expected a number from 0 to {most}")
        return told
