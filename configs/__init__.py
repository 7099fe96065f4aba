"""Shipped configurations of searches, and training recipes."""

__all__: list[str] = []
