"""The objective of a search: the reward, the limits and the Pareto front."""

__all__: list[str] = []
