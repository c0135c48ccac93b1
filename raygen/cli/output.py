"""Printing: tables for people, one JSON object for programs."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from typing import Any

from raygen.run.measurements import finite

EXIT_CODES = "exit codes: 0 done, 1 the run failed, 2 the input is wrong, 3 stopped and resumable, 4 trained but a gate failed, 130 interrupted"
"""What the help of each command ends with."""


def print_result(args: argparse.Namespace, document: Mapping[str, Any], text: str) -> None:
    """Prints `document` as one line of JSON under --json, else `text`."""
    sys.stdout.write((json_line(document) if args.json else text) + "\n")


def json_line(document: Mapping[str, Any]) -> str:
    """One line of JSON that stdout can print; numbers that JSON does not have become null."""
    plain = finite(document)
    text = json.dumps(plain, ensure_ascii=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        # Escapes of JSON's own, which mean the same, before the stream would use Python's.
        return json.dumps(plain)
    return text


def table(rows: Mapping[str, str]) -> str:
    """Names and values in two columns, readable without colour."""
    width = max(map(len, rows), default=0)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows.items())


def number(value: float) -> str:
    """A count with thousands separators; a fraction with four digits that count."""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.4g}"


def duration(seconds: float) -> str:
    """Seconds as 1:02:03, or 2:03 below an hour."""
    whole = max(0, round(seconds))
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"


def printable(text: str) -> str:
    """Text in which control characters are visible, so that a model cannot steer a terminal."""
    return "".join(c if c.isprintable() or c in "\n\t" else f"\\x{ord(c):02x}" for c in text)
