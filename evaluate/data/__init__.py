"""Images: their sources, their decoded and memory-mapped form, and their splits."""

__all__: list[str] = []
