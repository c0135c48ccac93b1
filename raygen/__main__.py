"""`python -m raygen` is the command `raygen`."""

from __future__ import annotations

import sys

from raygen.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
