"""The command `raygen`, also as `python -m raygen`."""

from __future__ import annotations

import sys

from raygen.cli.interrupts import end_at_once


def main() -> int:
    """Runs the command line of this process; returns its exit code."""
    # Before the first import that takes a while, and until the interpreter has ended.
    with end_at_once(sys.argv[1] if len(sys.argv) > 1 else ""):
        from raygen.cli.main import main as run

        return run()


if __name__ == "__main__":
    sys.exit(main())
