"""Options of `raygen sample`."""

from __future__ import annotations

import argparse
from collections.abc import Callable


def add_sample_options(
    sample: argparse.ArgumentParser, device_options: Callable[[argparse.ArgumentParser], None]
) -> None:
    """The run, what is generated from it and how, and where pictures go."""
    sample.add_argument("run", metavar="RUN", help="run directory")
    device_options(sample)
    sample.add_argument(
        "--prompt", action="append", default=[], help="beginning to continue; may be repeated"
    )
    sample.add_argument(
        "--count", type=int, help="texts for each prompt (default: 1), or images (default: 64)"
    )
    sample.add_argument(
        "--max-tokens", type=int, default=300, help="most tokens after the prompt (default: 300)"
    )
    sample.add_argument(
        "--ignore-end-of-text",
        action="store_true",
        help="go on after the end that the model writes, which is shown as <|endoftext|>",
    )
    sample.add_argument("--temperature", type=float, default=0.8, help="0 takes the most likely token")
    sample.add_argument("--top-k", type=int, help="only the k most likely tokens")
    sample.add_argument("--top-p", type=float, help="only tokens that together have this probability")
    sample.add_argument("--min-p", type=float, help="only tokens with this share of the likeliest one's")
    sample.add_argument("--repetition-penalty", type=float, default=1.0, help="above 1 avoids repetition")
    sample.add_argument("--seed", type=int, default=0, help="the same seed gives the same samples")
    sample.add_argument(
        "--class", dest="classes", action="append", default=[], help="of images, by name; may be repeated"
    )
    sample.add_argument("--template", metavar="FILE", help="of texts: what stands around each prompt")
    sample.add_argument("--policy", metavar="FILE", help="of texts: filters of prompts and outputs")
    sample.add_argument("--to", metavar="FOLDER", help="where pictures go (default: generated/ in the run)")
    sample.add_argument("--step", type=int, help="checkpoint to use (default: the best, else the newest)")
