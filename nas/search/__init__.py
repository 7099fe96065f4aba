"""One search: its configuration, its parts, the loop, the run directory."""

__all__: list[str] = []
