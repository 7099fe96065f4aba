"""Benchmarks behind the measured claims; a comparison prints a ratio against a named peer, measured in one run."""

__all__: list[str] = []
