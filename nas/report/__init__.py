"""The report of a run as one HTML page: the search, its result, how reliable it is, and how to repeat it."""

__all__: list[str] = []
