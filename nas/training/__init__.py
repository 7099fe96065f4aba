"""Full training of one network: recipes, weights, checkpoints, on one device or on many through Ray Train."""

__all__: list[str] = []
