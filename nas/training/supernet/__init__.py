"""The training of a supernet: one set of weights for every network of a space inside its limits."""

__all__: list[str] = []
