"""RMSProp as in TensorFlow 1, which the papers used for training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


class TensorFlowRMSProp(torch.optim.Optimizer):
    """RMSProp with epsilon inside the root, squares that start at 1, and the learning rate inside the momentum.

    ``torch.optim.RMSprop`` adds epsilon outside the root and starts from 0, which with the papers' epsilon of 0.001 is
    another optimizer. For a gradient g: ``squares += (1 - decay) (g^2 - squares)``, ``velocity = momentum velocity +
    rate g / sqrt(squares + epsilon)``, ``weight -= velocity``.

    Args:
        params: parameters, or groups of them.
        lr: learning rate.
        decay: decay of the mean of squares.
        momentum: momentum of the velocity.
        epsilon: constant inside the root.
        weight_decay: factor of the weight that is added to the gradient (L2).
    """

    def __init__(
        self,
        params: Any,
        lr: float,
        decay: float = 0.9,
        momentum: float = 0.9,
        epsilon: float = 0.001,
        weight_decay: float = 0.0,
    ) -> None:
        defaults = {
            "lr": lr,
            "decay": decay,
            "momentum": momentum,
            "epsilon": epsilon,
            "weight_decay": weight_decay,
        }
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Update every parameter that has a gradient."""
        loss = None if closure is None else closure()
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            if not weights:
                continue
            squares, velocities = zip(*(self._state_of(weight) for weight in weights), strict=True)
            gradients: list[Tensor] = [weight.grad for weight in weights]
            if group["weight_decay"]:
                gradients = list(torch._foreach_add(gradients, weights, alpha=group["weight_decay"]))
            torch._foreach_mul_(squares, group["decay"])
            torch._foreach_addcmul_(squares, gradients, gradients, value=1 - group["decay"])
            roots = torch._foreach_add(squares, group["epsilon"])
            torch._foreach_sqrt_(roots)
            torch._foreach_mul_(velocities, group["momentum"])
            torch._foreach_addcdiv_(velocities, gradients, roots, value=group["lr"])
            torch._foreach_sub_(weights, velocities)
        return loss

    def _state_of(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        state = self.state[weight]
        if not state:
            state["squares"], state["velocity"] = torch.ones_like(weight), torch.zeros_like(weight)
        return state["squares"], state["velocity"]
