"""Latency of whole networks on the user's machine, predicted from the measured times of their operators."""

__all__: list[str] = []
