"""Tracking of searches and trainings: Weights & Biases, TensorBoard, Optuna's studies and dashboard."""

__all__: list[str] = []
