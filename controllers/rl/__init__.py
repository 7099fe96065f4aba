"""Reinforcement learning: the papers' controller."""

__all__: list[str] = []
