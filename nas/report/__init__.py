"""The run as one HTML page: what was searched, what was found, how far to trust it, how to repeat it."""

__all__: list[str] = []
