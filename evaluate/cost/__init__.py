"""What a network costs: exact counts, the domains inside limits, latency."""

__all__: list[str] = []
