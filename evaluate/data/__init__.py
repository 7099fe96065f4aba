"""Images: where they come from, their decoded and memory-mapped form, and their parts."""

__all__: list[str] = []
