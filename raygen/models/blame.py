"""Which line of a traceback a person can change: the innermost one that is not a library's."""

from __future__ import annotations

import sysconfig
import traceback
from collections.abc import Collection
from pathlib import Path
from types import FrameType

INSTALLED = frozenset({"site-packages", "dist-packages"})
"""Folders that pip and Debian install packages into."""
STANDARD = tuple(Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib"))


def blamed(error: BaseException, own: Collection[str] = ()) -> str:
    """Where an error comes from, as "file, line N, in function".

    Of all frames this is the innermost one of a person's code: not of the standard library, of an installed package, or
    of raygen, unless `own` names its top-level package. A file that Python cannot parse is the place itself. Where every
    frame is a library's, it is the innermost one.

    Args:
        error: As it was caught.
        own: Top-level names of modules that count as a person's, wherever they are installed.
    """
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}, line {error.lineno}"
    frames = list(traceback.walk_tb(error.__traceback__))
    if not frames:
        return ""
    frame, line = next((pair for pair in reversed(frames) if _is_own(pair[0], own)), frames[-1])
    return f"{frame.f_code.co_filename}, line {line}, in {frame.f_code.co_name}"


def _is_own(frame: FrameType, own: Collection[str]) -> bool:
    package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
    if package in own:
        return True
    file = frame.f_code.co_filename
    path = Path(file)
    # "<frozen importlib._bootstrap>", "<string>": code without a file to change.
    if package == "raygen" or file.startswith("<") or not INSTALLED.isdisjoint(path.parts):
        return False
    return not any(path.is_relative_to(folder) for folder in STANDARD)
