"""The actions of `raygen data`, and their options."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from raygen.cli.actions import actions_of

FORMATS = (
    *("Text", "JsonLines", "Csv", "Midi", "ImageFolder", "Idx", "Parquet", "Arrow", "Tar", "Mds"),
    "HuggingFace",
)
"""Formats of sources, as the spec has them; here again, since help needs no pydantic."""


def add_data_actions(
    data: argparse.ArgumentParser,
    job_options: Callable[[argparse.ArgumentParser], None],
    device_options: Callable[[argparse.ArgumentParser], None],
) -> None:
    """Adds the actions of `data`. Each one's module under raygen.cli.local.data has `run(args) -> int`.

    Args:
        data: The parser of the verb.
        job_options: Adds a job file and what changes it.
        device_options: Adds the choice of a device.
    """
    action = actions_of(data, "raygen.cli.local.data")
    inspect = action("inspect", "columns, counts and samples of a source, before there is a job")
    inspect.add_argument("uri", metavar="URI", help="file, folder, glob, s3://bucket/key or hf://owner/name")
    inspect.add_argument(
        "--format", choices=FORMATS, help="as in a job file (default: guessed from the files)"
    )
    inspect.add_argument("--contents", choices=("Text", "Images"), help="default: guessed from the columns")
    inspect.add_argument("--field", metavar="NAME", help="column of the text or image")
    inspect.add_argument("--label-field", metavar="NAME", help="column of the label")
    inspect.add_argument("--split", metavar="NAME", help="split of a data set of Hugging Face")
    inspect.add_argument("--subset", metavar="NAME", help="configuration of a data set on the hub")
    inspect.add_argument(
        "-n", dest="count", type=int, metavar="N", help="samples to show (default: 5 texts or 36 images)"
    )
    inspect.add_argument(
        "--all",
        action="store_true",
        help="read everything, also more than 256 MiB, so that records are counted",
    )
    inspect.add_argument(
        "--to", metavar="FILE", help="where the picture of images goes (default: a new file in /tmp)"
    )

    preview = action("preview", "training samples before and after augmentation, as a picture or as text")
    job_options(preview)
    device_options(preview)
    preview.add_argument("-n", "--count", type=_count, default=8, help="samples (default: 8)")
    preview.add_argument(
        "--out", metavar="FILE", help="PNG file to write (default: NAME-preview.png, with the job's name)"
    )

    verify = action("verify", "compute the order of a run's samples again, and compare it with the run's")
    verify.add_argument("run", metavar="RUN", help="run directory")
    verify.add_argument(
        "--contents", action="store_true", help="also read all data, and check it against its index"
    )


def _count(text: str) -> int:
    count = int(text) if text.isdecimal() and len(text) < 6 else 0
    if not count:
        raise argparse.ArgumentTypeError("must be a whole number from 1 to 99999")
    return count
