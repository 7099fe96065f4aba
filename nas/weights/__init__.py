"""Files of weights, the names that torchvision gives weights, and how weights are inherited."""

__all__: list[str] = []
