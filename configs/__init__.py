"""Ready-made run files."""
