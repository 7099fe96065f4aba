"""Who is trained longer, in any order of endings."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.core.errors import InputError
from nas.search.asha import Halving, rung_epochs


@pytest.mark.parametrize(
    ("arguments", "levels"),
    [((1, 9, 3), (1, 3, 9)), ((1, 5, 3), (1, 3, 5)), ((2, 30, 4), (2, 8, 30)), ((1, 2, 2), (1, 2))],
)
def test_rungs_are_powers_up_to_the_whole_training(arguments: tuple[int, int, int], levels: tuple[int, ...]) -> None:
    assert rung_epochs(*arguments) == levels
    assert sum(Halving(levels, 3, 9).cycles) == levels[-1]


def test_no_room_for_two_rungs_is_refused() -> None:
    message = "fidelity.min_epochs: expected fewer than the 3 epochs of the longest training, got 3"
    with pytest.raises(InputError, match=message):
        rung_epochs(3, 3, 3)


def test_the_best_third_goes_on_and_the_hopeless_are_known_at_once() -> None:
    halving = Halving((1, 3, 9), 3, goal=9)
    for number, reward in enumerate([0.1, 0.5, 0.2]):
        halving.start(number)
        assert not halving.record(number, reward, reward)
    assert halving.promotable() == [1]
    assert halving.hopeless() == []  # of nine trials three are promoted: nobody has three better ones yet
    halving.start(3)
    halving.record(3, 0.05, 0.05)
    assert halving.hopeless() == [3]
    halving.prune(3)
    assert halving.hopeless() == []


def test_projections_add_the_mean_gain_of_those_that_were_trained_longer() -> None:
    halving = Halving((1, 3), 2, goal=8)
    for number, accuracy in enumerate([0.4, 0.5, 0.3]):
        halving.record(number, accuracy, accuracy)
    assert halving.projected_accuracy(2) == pytest.approx(0.3)
    halving.record(0, 0.5, 0.5)
    halving.record(1, 0.7, 0.7)
    assert halving.projected_accuracy(2) == pytest.approx(0.3 + 0.15)


@given(
    st.integers(1, 40), st.integers(2, 4), st.integers(2, 4), st.integers(1, 6), st.integers(0, 2**31), st.booleans()
)
def test_every_trial_comes_to_an_end_and_one_is_trained_in_full(
    goal: int, reduction: int, rungs: int, workers: int, seed: int, failures: bool
) -> None:
    """Any order of endings, any failures: nobody waits for ever, and the rungs stay as narrow as they should."""
    generator = np.random.default_rng(seed)
    levels = tuple(reduction**place for place in range(rungs))
    halving = Halving(levels, reduction, goal)
    worth = generator.random(goal)
    running: list[int] = []
    ended: dict[int, str] = {}
    begun = 0
    while len(ended) < goal:
        while len(running) < workers:
            if waiting := halving.promotable():
                number = waiting[0]
            elif begun < goal:
                number, begun = begun, begun + 1
            else:
                break
            halving.start(number)
            running.append(number)
            halving.closed = begun == goal
        assert running, "nobody is trained, and nobody's training is over"
        number = running.pop(int(generator.integers(len(running))))
        if failures and generator.random() < 0.2:
            halving.fail(number)
            ended[number] = "failed"
        elif halving.record(number, worth[number], worth[number]):
            ended[number] = "ok"
        for verdict in halving.hopeless():
            assert verdict not in ended and verdict not in running
            halving.prune(verdict)
            ended[verdict] = "pruned"
    assert not running and not halving.promotable()
    statuses = list(ended.values())
    assert "ok" in statuses or "failed" in statuses
    assert failures or "ok" in statuses


def test_most_epochs_are_saved() -> None:
    shares = []
    for seed in range(20):
        generator = np.random.default_rng(seed)
        halving, worth, spent = Halving((1, 3, 9), 3, goal=27), generator.random(27), 0
        begun, done = 0, 0
        while done < 27:
            waiting = halving.promotable()
            number = waiting[0] if waiting else begun
            begun += not waiting
            halving.start(number)
            halving.closed = begun == 27
            spent += halving.cycles[halving.rung(number)]
            done += halving.record(number, worth[number], worth[number])
            for verdict in halving.hopeless():
                halving.prune(verdict)
                done += 1
        shares.append(spent / (27 * 9))
        assert halving.rung(int(worth.argmax())) == 3  # what is best at every rung is trained in full
    assert 0.25 < np.mean(shares) < 0.4
