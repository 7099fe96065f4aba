"""What people see: tables, progress, summaries."""

__all__: list[str] = []
