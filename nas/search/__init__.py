"""One search: its configuration, its parts, the loop, the run directory."""
