"""What is maximised: the reward, the limits, the Pareto front."""

__all__: list[str] = []
