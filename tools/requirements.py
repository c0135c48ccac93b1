"""Prints what an image installs besides raygen itself: the project's dependencies and those of its extras.

    python tools/requirements.py train

Uses nothing but the standard library, since it runs where nothing is installed yet.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
IMAGES = {"train": ("train", "ray", "sweep", "s3", "cleaning"), "operator": ("operator", "tracing")}
"""The extras of each image."""


def main() -> int:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    lines = [
        *project["dependencies"],
        *(line for extra in IMAGES[sys.argv[1]] for line in extras.get(extra, ())),
    ]
    print("\n".join(dict.fromkeys(lines)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
