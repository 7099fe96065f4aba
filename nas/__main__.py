"""``nas`` and ``python -m nas``."""

from __future__ import annotations


def main() -> None:
    """Run the command line."""
    from nas.cli.app import app

    app(prog_name="nas")


if __name__ == "__main__":
    main()
