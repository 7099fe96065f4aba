"""Terminal output: tables, progress, summaries."""

__all__: list[str] = []
