"""The policy: an LSTM that generates a genotype token by token.

NASNet, arXiv 1707.07012, appendix A.2, and MnasNet, section 4.2: one softmax for each decision, which depends on the
previous decisions.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nas.search_spaces.domain import Genes

INITIAL = 0.1  # initial weights are uniform in (-0.1, 0.1)


class Policy(nn.Module):
    """An autoregressive distribution over genotypes.

    Args:
        sizes: how many options each decision has.
        hidden: units of the LSTM and width of the embeddings.
        generator: random generator of the initial weights.
    """

    def __init__(self, sizes: Sequence[int], hidden: int, generator: np.random.Generator) -> None:
        super().__init__()
        self.sizes, self.hidden = tuple(sizes), hidden
        self.start = nn.Parameter(torch.empty(hidden))
        self.embeddings = nn.ParameterList(torch.empty(options, hidden) for options in self.sizes[:-1])
        self.lstm = nn.LSTMCell(hidden, hidden)
        self.heads = nn.ModuleList(nn.Linear(hidden, options) for options in self.sizes)
        with torch.no_grad():
            for parameter in self.parameters():
                drawn = generator.uniform(-INITIAL, INITIAL, size=tuple(parameter.shape))
                parameter.copy_(torch.from_numpy(drawn))

    def forward(self, genes: Tensor) -> tuple[Tensor, Tensor]:
        """Return the log-probabilities and the entropies of genotypes under the policy.

        Args:
            genes: option indices, ``(batch, tokens)``.

        Returns:
            The logarithms of the probabilities of every token given those before it, and the entropies of the
            distributions they were drawn from, in nats; ``(batch, tokens)`` each.
        """
        chosen, entropies = [], []
        inputs, state = self._begin(len(genes))
        for token in range(len(self.sizes)):
            logarithms, state = self._decide(token, inputs, state)
            chosen.append(logarithms.gather(1, genes[:, token : token + 1])[:, 0])
            entropies.append(-(logarithms.exp() * logarithms).sum(dim=1))
            inputs = self._embedded(token, genes[:, token])
        return torch.stack(chosen, dim=1), torch.stack(entropies, dim=1)

    @torch.no_grad()
    def sample(self, count: int, generator: np.random.Generator) -> tuple[Genes, NDArray[np.float32]]:
        """Draw genotypes and return them with the logarithms of their tokens' probabilities, ``(count, tokens)``."""
        draws = torch.from_numpy(generator.random((count, len(self.sizes))))

        def choose(token: int, logarithms: Tensor) -> Tensor:
            reached = logarithms.double().exp().cumsum(dim=1)
            below = (reached < draws[:, token : token + 1] * reached[:, -1:]).sum(dim=1)
            return below.clamp(max=self.sizes[token] - 1)

        genes, logarithms, _ = self._write(count, choose)
        return genes, logarithms

    @torch.no_grad()
    def greedy(self) -> tuple[list[int], list[float]]:
        """Return the genes of the most likely option at every decision, and the entropy of each decision."""
        genes, _, entropies = self._write(1, lambda _, logarithms: logarithms.argmax(dim=1))
        return genes[0].tolist(), [float(entropy) for entropy in entropies[0]]

    def _write(self, count: int, choose: object) -> tuple[Genes, NDArray[np.float32], NDArray[np.float32]]:
        genes = torch.empty((count, len(self.sizes)), dtype=torch.int64)
        chosen, entropies = [], []
        inputs, state = self._begin(count)
        for token in range(len(self.sizes)):
            logarithms, state = self._decide(token, inputs, state)
            genes[:, token] = choose(token, logarithms)  # type: ignore[operator]
            chosen.append(logarithms.gather(1, genes[:, token : token + 1])[:, 0])
            entropies.append(-(logarithms.exp() * logarithms).sum(dim=1))
            inputs = self._embedded(token, genes[:, token])
        stacked = torch.stack(chosen, dim=1).numpy(), torch.stack(entropies, dim=1).numpy()
        return (genes.numpy(), *stacked)

    def _begin(self, count: int) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        zeros = torch.zeros((count, self.hidden))
        return self.start.expand(count, -1), (zeros, zeros)

    def _decide(self, token: int, inputs: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        state = self.lstm(inputs, state)
        return torch.log_softmax(self.heads[token](state[0]), dim=1), state

    def _embedded(self, token: int, genes: Tensor) -> Tensor:
        return self.embeddings[token][genes] if token < len(self.embeddings) else self.start.expand(len(genes), -1)
