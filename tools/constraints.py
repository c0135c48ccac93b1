"""Resolves every extra to the newest versions, and writes constraints.txt: names and versions only."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEADER = (
    "# Exact versions of everything that the extras install, tested together. Regenerate: make constraints\n"
)
PINNED = ("torch==2.13.0", "uv==0.13.9")
"""Versions that are chosen, not resolved."""


def main() -> int:
    command = [
        Path(sys.executable).with_name("uv"),
        "pip",
        "compile",
        "--quiet",
        "pyproject.toml",
        "--all-extras",
    ]
    options = ["--no-header", "--no-annotate", "--python-version", "3.11", "--constraint", "-"]
    done = subprocess.run(  # noqa: S603 (our own arguments)
        [*command, *options], cwd=ROOT, input="\n".join(PINNED), capture_output=True, text=True, check=True
    )
    lines = [line for line in done.stdout.splitlines() if re.fullmatch(r"[A-Za-z0-9_.-]+==[^ ]+", line)]
    pinned = [pin for pin in PINNED if pin not in lines]
    (ROOT / "constraints.txt").write_text(HEADER + "\n".join(sorted([*lines, *pinned])) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
