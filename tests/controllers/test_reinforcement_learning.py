from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from nas.controllers.rl.losses import advantages, moving_average, ppo_loss, reinforce_loss
from nas.controllers.rl.policy import Policy
from nas.controllers.rl.reinforcement_learning import ReinforcementLearning
from nas.controllers.task import Task
from nas.core.records import Trial
from nas.search_spaces.domain import Domain
from nas.search_spaces.space import SearchSpace
from nas.testing.toy_tasks import banded_task, made_up_trial, play
from tests.toys import PlainSpace


def policy(sizes: tuple[int, ...] = (3, 2, 4), hidden: int = 8, seed: int = 0) -> Policy:
    return Policy(sizes, hidden, np.random.default_rng(seed))


def sigmoid(value: Any) -> Any:
    return 1 / (1 + np.exp(-value))


def by_hand(model: Policy, genes: list[int]) -> tuple[list[float], list[float]]:
    """The LSTM's equations (Hochreiter and Schmidhuber), token by token, in numpy."""
    weights = {name: tensor.double().numpy() for name, tensor in model.state_dict().items()}
    inputs, hidden, cell = weights["start"], np.zeros(model.hidden), np.zeros(model.hidden)
    chosen, entropies = [], []
    for token, gene in enumerate(genes):
        gates = weights["lstm.weight_ih"] @ inputs + weights["lstm.bias_ih"]
        gates += weights["lstm.weight_hh"] @ hidden + weights["lstm.bias_hh"]
        enter, forget, new, leave = np.split(gates, 4)
        cell = sigmoid(forget) * cell + sigmoid(enter) * np.tanh(new)
        hidden = sigmoid(leave) * np.tanh(cell)
        scores = weights[f"heads.{token}.weight"] @ hidden + weights[f"heads.{token}.bias"]
        chances = np.exp(scores) / np.exp(scores).sum()
        chosen.append(float(np.log(chances[gene])))
        entropies.append(float(-(chances * np.log(chances)).sum()))
        if token < len(genes) - 1:
            inputs = weights[f"embeddings.{token}"][gene]
    return chosen, entropies


def test_log_probabilities_and_entropies_are_the_lstms() -> None:
    model, genes = policy(), [[2, 0, 3], [0, 1, 1]]
    logarithms, entropies = model(torch.tensor(genes))
    for row, one in enumerate(genes):
        expected = by_hand(model, one)
        assert logarithms[row].tolist() == pytest.approx(expected[0], abs=1e-6)
        assert entropies[row].tolist() == pytest.approx(expected[1], abs=1e-6)


def test_probabilities_of_all_genotypes_add_up_to_one() -> None:
    model = policy()
    genes = torch.cartesian_prod(torch.arange(3), torch.arange(2), torch.arange(4))
    assert model(genes)[0].sum(dim=1).exp().sum().item() == pytest.approx(1, abs=1e-5)


def test_what_is_drawn_has_the_probabilities_it_is_given() -> None:
    model = policy()
    genes, logarithms = model.sample(20_000, np.random.default_rng(1))
    again, _ = model(torch.from_numpy(genes))
    assert np.allclose(again.detach().numpy(), logarithms, atol=1e-5)
    for first in range(3):
        expected = math.exp(by_hand(model, [first, 0, 0])[0][0])
        assert (genes[:, 0] == first).mean() == pytest.approx(expected, abs=0.015)


def test_initial_weights_are_uniform_within_a_tenth_and_follow_the_generator() -> None:
    values = torch.cat([parameter.detach().flatten() for parameter in policy(hidden=100).parameters()])
    assert float(values.abs().max()) <= 0.1
    assert float(values.std()) == pytest.approx(0.2 / math.sqrt(12), rel=0.02)
    assert torch.equal(policy(seed=3).start, policy(seed=3).start)
    assert not torch.equal(policy(seed=3).start, policy(seed=4).start)


def test_greedy_takes_the_likeliest_option_of_every_decision() -> None:
    model = policy()
    with torch.no_grad():
        for token, best in enumerate((1, 0, 2)):
            model.get_parameter(f"heads.{token}.bias")[best] += 5
    genes, entropies = model.greedy()
    assert genes == [1, 0, 2]
    assert entropies == pytest.approx(by_hand(model, [1, 0, 2])[1], abs=1e-5)


def test_advantages_by_hand() -> None:
    rewards = torch.tensor([0.5, 0.7, 0.9])
    assert advantages(rewards, 0.6, normalise=False).tolist() == pytest.approx([-0.1, 0.1, 0.3])
    scale = math.sqrt((0.01 + 0.01 + 0.09) / 3)
    expected = [-0.1 / scale, 0.1 / scale, 0.3 / scale]
    assert advantages(rewards, 0.6, normalise=True).tolist() == pytest.approx(expected, rel=1e-4)


def test_rewards_that_are_all_alike_are_no_reason_to_jump() -> None:
    alike = torch.full((20,), 0.7)
    assert advantages(alike, 0.5, normalise=True).tolist() == pytest.approx([1.0] * 20)
    assert max(map(abs, advantages(alike, 0.7, normalise=True).tolist())) < 1e-6


def test_moving_average_by_hand() -> None:
    assert moving_average(None, torch.tensor([0.2, 0.4]), 0.95) == pytest.approx(0.3)
    assert moving_average(0.5, torch.tensor([0.2, 0.4]), 0.95) == pytest.approx(0.95 * 0.5 + 0.05 * 0.3)


def test_ppo_by_hand() -> None:
    old = torch.log(torch.tensor([[0.5, 0.5], [0.2, 0.4]]))
    new = torch.log(torch.tensor([[0.75, 0.45], [0.1, 0.44]]))  # ratios 1.5, 0.9; 0.5, 1.1
    advantage = torch.tensor([2.0, -1.0])
    first = min(1.5 * 2, 1.2 * 2) + min(0.9 * 2, 0.9 * 2)
    second = min(-0.5, -0.8) + min(-1.1, -1.1)
    assert float(ppo_loss(new, old, advantage, 0.2)) == pytest.approx(-(first + second) / 2, rel=1e-5)


def test_ppo_has_no_gradient_beyond_the_clip() -> None:
    old = torch.zeros(1, 1)
    new = torch.tensor([[math.log(1.3)]], requires_grad=True)
    ppo_loss(new, old, torch.tensor([1.0]), 0.2).backward()  # type: ignore[no-untyped-call]
    assert float(new.grad) == 0  # type: ignore[arg-type]
    worse = torch.tensor([[math.log(1.3)]], requires_grad=True)
    ppo_loss(worse, old, torch.tensor([-1.0]), 0.2).backward()  # type: ignore[no-untyped-call]
    assert float(worse.grad) == pytest.approx(1.3)  # type: ignore[arg-type]


def test_reinforce_by_hand() -> None:
    new = torch.log(torch.tensor([[0.5, 0.5], [0.25, 1.0]]))
    loss = float(reinforce_loss(new, torch.tensor([1.0, -2.0])))
    assert loss == pytest.approx((2 * math.log(2) - 2 * 2 * math.log(2)) / 2)


@pytest.mark.parametrize("algorithm", ["ppo", "reinforce"])
def test_it_learns_what_random_search_does_not(algorithm: str) -> None:
    space: SearchSpace = PlainSpace("plain", (4,) * 12)
    controller = ReinforcementLearning(
        Task(Domain(space)), 0, algorithm=algorithm, hidden=32, learning_rate=0.01, batch=10
    )
    sums = []
    for number in range(400):
        (architecture,) = controller.ask(1)
        sums.append(sum(architecture.genes))
        controller.tell([Trial(number, architecture, "ok", {}, sums[-1] / 36)])
    assert np.mean(sums[:40]) == pytest.approx(18, abs=3)
    assert np.mean(sums[-40:]) > 24
    assert sum(controller.own_state()["greedy"]) > 27


def test_failures_and_what_it_did_not_draw_teach_nothing() -> None:
    task = banded_task()
    controller = ReinforcementLearning(task, 0, batch=2, hidden=8)
    before = controller.own_state()["weights"]
    for number, architecture in enumerate(controller.ask(4)):
        controller.tell([Trial(number, architecture, "failed", error="diverged")])
    drawn = task.domain.sample(np.random.default_rng(7))
    assert drawn is not None
    controller.tell([made_up_trial(task, 4, drawn), made_up_trial(task, 5, drawn)])
    assert controller.own_state()["weights"] == before
    play(controller, task, 4, start=8)
    assert controller.own_state()["weights"] != before


def test_state_has_the_greedy_genotype_and_an_entropy_for_each_token() -> None:
    state = ReinforcementLearning(banded_task(), 0, hidden=8).state_dict()
    assert len(state["greedy"]) == len(state["entropies"]) == 28
    sizes = banded_task().domain.space.gene_sizes
    assert all(0 < entropy <= math.log(size) + 1e-6 for entropy, size in zip(state["entropies"], sizes, strict=True))
