"""Export of networks to files for other programs: ONNX, torch.export, plain Python, other libraries' state dicts."""

__all__: list[str] = []
