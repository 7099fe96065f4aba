"""Networks as files that others run: ONNX, torch.export, plain Python, and other libraries' state dicts."""

__all__: list[str] = []
