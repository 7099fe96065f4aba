"""What is maximised: the reward, the limits, the Pareto front."""
