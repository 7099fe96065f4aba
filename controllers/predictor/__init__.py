"""Predictor-guided search: a model of the accuracy, the exact cost, and an inner search over both."""

__all__: list[str] = []
