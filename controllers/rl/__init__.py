"""Reinforcement learning: the papers' controller."""
