"""``nas`` and ``python -m nas``."""

from __future__ import annotations


def main() -> None:
    """Run the command line."""
    import sys
    from contextlib import suppress

    for stream in (sys.stdout, sys.stderr):  # a terminal that cannot show a character shows another one
        with suppress(AttributeError, ValueError):
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    from nas.cli.app import app

    app(prog_name="nas")


if __name__ == "__main__":
    main()
