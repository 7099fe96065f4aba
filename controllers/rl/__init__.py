"""Reinforcement learning: the controller of the NASNet and MnasNet papers."""

__all__: list[str] = []
