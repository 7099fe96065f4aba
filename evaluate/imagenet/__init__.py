"""ImageNet accuracy and accelerator speed of networks on EfficientNet-B0's skeleton, predicted from measured ones."""

__all__: list[str] = []
