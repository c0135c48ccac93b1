"""`raygen version`."""

from __future__ import annotations

import argparse
import platform
from importlib.metadata import PackageNotFoundError, version

from raygen import __version__
from raygen.cli.output import print_result, table

PACKAGES = ("pydantic", "torch", "tokenizers", "safetensors", "numpy")


def run(args: argparse.Namespace) -> int:
    """Prints versions without importing what they are of."""
    found = {"raygen": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    print_result(args, found, table(found))
    return 0
