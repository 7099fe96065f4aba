"""The commands a person types."""

__all__: list[str] = []
