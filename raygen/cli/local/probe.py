"""`raygen probe`."""

from __future__ import annotations

import argparse
from dataclasses import asdict, replace
from importlib.metadata import PackageNotFoundError, version

from raygen import __version__
from raygen.cli.output import print_result
from raygen.errors import InputError, without_secrets
from raygen.storage.probe import probe


def run(args: argparse.Namespace) -> int:
    """Tries storages from here and prints what came of it, with the versions that matter; 1 if something is wrong.

    `raygen doctor --probe` runs it in a pod, and reads what --json prints.
    """
    if not args.uris and not args.json:
        raise InputError("there is nothing to try", remedy="Name folders: raygen probe s3://bucket/folder")
    try:
        ray = version("ray")
    except PackageNotFoundError:
        ray = None
    found = [replace(one, uri=without_secrets(one.uri)) for one in probe(args.uris)]
    lines = []
    for one in found:
        lines.append(f"{'fault' if one.kind else 'ok':<8} {one.uri}{f': {one.what}' if one.kind else ''}")
        if one.remedy:
            lines.append(f"{'':<8} {one.remedy}")
    document = {"raygen": __version__, "ray": ray, "storage": [asdict(one) for one in found]}
    print_result(args, document, "\n".join(lines))
    return 1 if any(one.kind for one in found) else 0
