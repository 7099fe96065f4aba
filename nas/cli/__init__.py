"""The command-line interface of ``nas``."""

__all__: list[str] = []
