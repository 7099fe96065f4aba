"""Measured claims: each prints a ratio against a named peer, in one run."""

__all__: list[str] = []
