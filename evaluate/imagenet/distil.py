"""Small perceptrons that numpy can run, fitted to the predictions of large models over many architectures."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nas.evaluate.imagenet.skeleton import Floats, Genes, gene_sizes

Layers = list[tuple[Floats, Floats]]


def random_genes(count: int, generator: np.random.Generator) -> Genes:
    """Draw genotypes ``(n, 28)``: half uniformly, half with the same SE in all stages, as in many measured networks."""
    genes = generator.integers(0, gene_sizes(), size=(count, len(gene_sizes())))
    alike = generator.integers(0, 2, size=(count // 2, 1))
    genes[: count // 2, 3::4] = alike
    return genes


def fit_perceptron(
    features: Floats,
    targets: NDArray[Any],
    hidden: int,
    epochs: int,
    *,
    batch: int = 512,
    rate: float = 3e-3,
    decay: float = 0.0,
    seed: int = 0,
) -> Layers:
    """Fit two hidden layers of ReLU to ``features`` ``(n, inputs)`` and ``targets`` ``(n, outputs)`` by least squares.

    NaN targets are ignored.

    Returns:
        Weights ``(inputs, outputs)`` and biases of three layers, in the targets' units.
    """
    generator = torch.Generator().manual_seed(seed)
    mean, scale = np.nanmean(targets, axis=0), np.nanstd(targets, axis=0)
    inputs = torch.tensor(features)
    values = torch.tensor((targets - mean) / scale, dtype=torch.float32)
    known = ~torch.isnan(values)
    values = torch.nan_to_num(values)
    widths = (features.shape[1], hidden, hidden, targets.shape[1])
    tensors = []
    for wide, narrow in pairwise(widths):
        tensors.append(((2 / wide) ** 0.5 * torch.randn(wide, narrow, generator=generator)).requires_grad_())
        tensors.append(torch.zeros(narrow).requires_grad_())
    optimizer = torch.optim.AdamW(tensors, rate, weight_decay=decay)
    batches = len(inputs) // batch
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, epochs * batches, pct_start=0.1)
    for _ in range(epochs):
        order = torch.randperm(len(inputs), generator=generator)
        for step in range(batches):
            chosen = order[step * batch : (step + 1) * batch]
            rows = inputs[chosen]
            rows = torch.relu(rows @ tensors[0] + tensors[1])
            rows = torch.relu(rows @ tensors[2] + tensors[3])
            error = (rows @ tensors[4] + tensors[5] - values[chosen]) * known[chosen]
            optimizer.zero_grad()
            (error * error).mean().backward()
            optimizer.step()
            schedule.step()
    arrays = [tensor.detach().numpy().astype(np.float32) for tensor in tensors]
    arrays[4], arrays[5] = arrays[4] * scale, arrays[5] * scale + mean
    arrays = [np.ascontiguousarray(array, dtype=np.float32) for array in arrays]
    return [(arrays[0], arrays[1]), (arrays[2], arrays[3]), (arrays[4], arrays[5])]


def named(layers: Layers, name: str) -> dict[str, Floats]:
    """Return layers as the arrays of a surrogate's file."""
    pairs = enumerate(layers)
    return {f"{name}.{kind}{index}": array for index, pair in pairs for kind, array in zip(("weight", "bias"), pair)}  # noqa: B905
