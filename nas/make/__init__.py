"""The whole way from a folder of images to a trained and exported network, inside one time budget."""

__all__: list[str] = []
