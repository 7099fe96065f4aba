"""``nas`` and ``python -m nas``."""

from __future__ import annotations


def main() -> None:
    """Run the command line.

    Threads of OpenMP that wait for each other sleep instead of spinning: on a machine that other work shares, spinning
    makes trainings with several threads many times slower.
    """
    import os
    import sys
    from contextlib import suppress

    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read when torch is imported
    for stream in (sys.stdout, sys.stderr):  # a terminal that cannot show a character shows another one
        with suppress(AttributeError, ValueError):
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    from nas.cli.app import app

    app(prog_name="nas")


if __name__ == "__main__":
    main()
