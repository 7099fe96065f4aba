"""Costs of networks: exact counts, domains inside limits, latency."""

__all__: list[str] = []
