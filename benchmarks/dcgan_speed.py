"""Images per second of a DCGAN's training at 64 pixels, beside pytorch/examples' script at its fastest.

    python benchmarks/dcgan_speed.py --pytorch-examples DIR

Batch 64, grey, 100 latent variables, width 64 in both networks: jobs/dcgan-speed.yaml, and dcgan/main.py under autocast
to BFloat16 with weights in channels_last. Both take turns of ten steps.
"""

from __future__ import annotations

import argparse

import torch
from harness import THREADS, write_result
from image_peers import Script, add_arguments, measure

OPTIONS = (
    "--dataset",
    "mnist",
    "--dataroot",
    ".",
    "--workers",
    "0",
    "--niter",
    "1",
    "--manualSeed",
    "{seed}",
)
# It prints a line at each step; at every hundredth it draws pictures.
SCRIPT = Script("dcgan/main.py", OPTIONS, lines=10, settings=("bf16", "channels_last"), longest=100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_arguments(parser, pairs=9, steps=30)
    arguments = parser.parse_args()
    torch.set_num_threads(THREADS)
    document = measure(arguments, SCRIPT, "dcgan-speed.yaml")
    write_result("dcgan_speed", document | {"threads": THREADS}, arguments.out)


if __name__ == "__main__":
    main()
