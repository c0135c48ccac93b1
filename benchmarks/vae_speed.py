"""Images per second of a VAE's training, beside pytorch/examples' script fed from memory.

    python benchmarks/vae_speed.py --pytorch-examples DIR

784-400-20, batch 128, Adam, Float32: jobs/vae-recipe.yaml, and vae/main.py unmodified. Both take turns of ten steps.
"""

from __future__ import annotations

import argparse

import torch
from harness import THREADS, write_result
from image_peers import Script, add_arguments, measure

# It prints a line every tenth step; after 460 an epoch of 60,000 images would end, and the test images be measured.
SCRIPT = Script("vae/main.py", ("--epochs", "1", "--seed", "{seed}"), lines=1, settings=(), longest=460)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_arguments(parser, pairs=9, steps=400)
    arguments = parser.parse_args()
    torch.set_num_threads(THREADS)
    document = measure(arguments, SCRIPT, "vae-recipe.yaml")
    write_result("vae_speed", document | {"threads": THREADS}, arguments.out)


if __name__ == "__main__":
    main()
