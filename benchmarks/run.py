"""Runs every benchmark, one after the other, then writes results/README.md.

    python benchmarks/run.py --nanogpt DIR

About 40 minutes on two cores that do nothing else.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

import nanogpt
from harness import FOLDER, ROOT

PLAIN = ("startup", "checkpoint_cost", "kill_resume")
BESIDE_NANOGPT = ("text_speed", "text_quality")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    nanogpt.add_argument(parser)
    parser.add_argument("--without-nanogpt", action="store_true", help="measure raygen only")
    arguments = parser.parse_args()
    if arguments.without_nanogpt:
        peer = ["--without-nanogpt"]
    else:
        peer = ["--nanogpt", str(nanogpt.check_folder(arguments.nanogpt))]
    commands = [[name] for name in PLAIN] + [[name, *peer] for name in BESIDE_NANOGPT]
    failed = [command[0] for command in commands if not succeeds(command)]
    succeeds(["table"])
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def succeeds(command: list[str]) -> bool:
    name, *options = command
    print(f"== {name}", flush=True)
    script = str(FOLDER / f"{name}.py")
    return subprocess.run([sys.executable, script, *options], cwd=ROOT, check=False).returncode == 0


if __name__ == "__main__":
    main()
