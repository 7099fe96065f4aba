"""Files of weights, the conversion of torchvision's weights, and the weights of a network, folder or file."""

__all__: list[str] = []
