"""Shared weights: one set of tensors from which every network of a space takes its own."""

__all__: list[str] = []
