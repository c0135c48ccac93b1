"""Runs every benchmark, one after the other, then writes results/README.md.

    python benchmarks/run.py --nanogpt DIR --pytorch-examples DIR

About two hours on two cores that do nothing else.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

import image_peers
import nanogpt
from harness import FOLDER, ROOT

PLAIN = (
    "startup",
    "checkpoint_cost",
    "s3_upload",
    "kill_resume",
    "processors",
    "threads",
    "ray_overhead",
    "data_parallel",
    "driver_memory",
    "vae_quality",
    "gan_quality",
)
BESIDE_NANOGPT = ("text_speed", "text_quality")
BESIDE_EXAMPLES = ("vae_speed", "dcgan_speed")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    nanogpt.add_argument(parser)
    parser.add_argument("--without-nanogpt", action="store_true", help="measure text without that peer")
    image_peers.add_folder(parser)
    parser.add_argument(
        "--without-pytorch-examples", action="store_true", help="leave out what compares with that peer"
    )
    arguments = parser.parse_args()
    if arguments.without_nanogpt:
        peer = ["--without-nanogpt"]
    else:
        peer = ["--nanogpt", str(nanogpt.check_folder(arguments.nanogpt))]
    commands = (
        [[name] for name in PLAIN] + [["processors", "--runs"]] + [[name, *peer] for name in BESIDE_NANOGPT]
    )
    if not arguments.without_pytorch_examples:
        folder = image_peers.check_folder(arguments.pytorch_examples, *image_peers.SCRIPTS)
        commands += [[name, "--pytorch-examples", str(folder)] for name in BESIDE_EXAMPLES]
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
