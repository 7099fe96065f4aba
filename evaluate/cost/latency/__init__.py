"""Latency of whole networks on one's own machine, composed from the measured times of their operators."""

__all__: list[str] = []
