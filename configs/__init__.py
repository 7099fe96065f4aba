"""Ready-made run files."""

__all__: list[str] = []
