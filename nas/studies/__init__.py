"""Studies: the ranking of proxies, comparisons, rediscovery, scaling, the tables of the papers."""

__all__: list[str] = []
