"""Commands below `raygen data`, and their options."""

from __future__ import annotations

import argparse

from raygen.cli.output import EXIT_CODES
from raygen.spec.data.sources import EITHER_FORMATS, TEXT_FORMATS

FORMATS = (*TEXT_FORMATS, "ImageFolder", "Idx", *EITHER_FORMATS)


def add_data_verbs(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the verb `data`; each of its commands has a module with `run(args) -> int` under raygen.cli.local.data."""
    text = "look at data"
    data = verbs.add_parser("data", help=text, description=text, epilog=EXIT_CODES, allow_abbrev=False)
    commands = data.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def command(name: str, text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text, epilog=EXIT_CODES, allow_abbrev=False)
        added.add_argument("--json", action="store_true", help="print one JSON object on stdout")
        added.set_defaults(module=f"raygen.cli.local.data.{name}")
        return added

    inspect = command("inspect", "columns, counts and samples of a source, before there is a job")
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
