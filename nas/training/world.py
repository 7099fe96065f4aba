"""The processes that train one network together; usually one."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class World:
    """The processes that train together over ``torch.distributed``, as seen by one of them.

    Attributes:
        rank: number of this process, from 0.
        size: number of processes.
    """

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes files."""
        return self.rank == 0

    def share(self, count: int) -> slice:
        """Return this process's part of ``count`` rows; parts differ by one row at most."""
        bounds = [count * rank // self.size for rank in (self.rank, self.rank + 1)]
        return slice(*bounds)

    def sum(self, values: Tensor) -> Tensor:
        """Sum a tensor over all processes, in place."""
        if self.size > 1:
            torch.distributed.all_reduce(values)
        return values
