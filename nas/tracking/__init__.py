"""Where others follow a search or a training: Weights & Biases, TensorBoard, Optuna's studies and dashboard."""

__all__: list[str] = []
