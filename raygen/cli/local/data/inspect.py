"""`raygen data inspect`."""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raygen.cli.local.job_file import needs_training
from raygen.cli.output import number, print_result, table
from raygen.errors import InputError
from raygen.report.wording import inert, size
from raygen.spec import Source
from raygen.spec.data.sources import parse_source

if TYPE_CHECKING:
    from raygen.data.inspection.survey import Survey

TEXTS, IMAGES = 5, 36
"""Samples, if nobody says how many."""
_SHOWN_CHARACTERS = 300
_SHOWN_CLASSES = 10


def run(args: argparse.Namespace) -> int:
    """Prints what a source holds: columns, counts, some texts, or the path of a picture of some images."""
    if args.count is not None and args.count < 1:
        raise InputError(f"out of bounds: -n {args.count}", remedy="Give 1 or more.")
    with needs_training():
        from raygen.data.inspection.survey import survey
    base = Path()
    found = survey(_source(args, base), base, args.count or max(TEXTS, IMAGES), everything=args.all)
    is_text = found.source.holds_text
    found.samples = found.samples[: args.count or (TEXTS if is_text else IMAGES)]
    picture = None if is_text or not found.samples else _picture(found, args.to)
    print_result(args, _document(found, picture), _text(found, picture))
    return 0


def _source(args: argparse.Namespace, base: Path) -> Source:
    """The source that the options describe, and of which they leave open what can be guessed.

    Raises:
        InputError: They do not go together.
    """
    from raygen.data.inspection.guess import guess_format

    names = ("contents", "field", "label_field", "split", "subset")
    options = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    # The URI is checked before anything is looked for there.
    parse_source({"uri": args.uri})
    return parse_source({"uri": args.uri, "format": args.format or guess_format(args.uri, base), **options})


def _picture(found: Survey, to: str | None) -> str:
    from raygen.data.inspection.grid import grid

    pictures = [
        (record.content, "" if record.label is None else str(record.label))
        for record in found.samples
        if isinstance(record.content, bytes)
    ]
    if to is None:
        with tempfile.NamedTemporaryFile(prefix="raygen-inspect-", suffix=".png", delete=False) as opened:
            to = opened.name
    try:
        Path(to).write_bytes(grid(pictures))
    except OSError as error:
        raise InputError(
            f"the picture cannot be written: {error.strerror}", where=to, remedy="Name another file by --to."
        ) from error
    return to


def _document(found: Survey, picture: str | None) -> dict[str, Any]:
    samples = [
        {
            "key": record.key,
            "where": record.where,
            "label": record.label,
            **(
                {"text": record.content}
                if isinstance(record.content, str)
                else {"bytes": len(record.content)}
            ),
        }
        for record in found.samples
    ]
    return {
        "source": found.source.model_dump(exclude_none=True),
        "contents": "text" if found.source.holds_text else "images",
        "files": found.files,
        "bytes": found.bytes,
        "columns": dict(found.columns),
        "records": found.records,
        "read": found.read,
        "lengths": found.lengths and dict(zip(("min", "median", "max"), found.lengths, strict=True)),
        "classes": [{"label": name, "count": count} for name, count in found.classes],
        "samples": samples,
        "picture": picture,
        "broken": {
            "count": found.broken_count,
            "examples": [
                {"where": one.where, "reason": one.reason, "remedy": one.remedy} for one in found.broken
            ],
        },
        "remarks": [asdict(remark) for remark in found.remarks],
    }


def _text(found: Survey, picture: str | None) -> str:
    is_text = found.source.holds_text
    records = "not counted (--all reads everything)" if found.records is None else number(found.records)
    rows = {
        "source": ", ".join(
            f"{key}: {inert(str(value))}" for key, value in found.source.model_dump(exclude_none=True).items()
        ),
        "contents": "text" if is_text else "images",
        "files": f"{number(found.files)}, {size(found.bytes)}" if found.files else "on the hub",
        "columns": ", ".join(f"{inert(name)} ({kind})" for name, kind in found.columns.items()),
        "records": records,
    }
    if found.lengths is not None:
        unit = "characters" if is_text else "bytes"
        least, middle, most = (number(round(value)) for value in found.lengths)
        rows["lengths"] = f"{least} to {most} {unit}, median {middle} (of {number(found.read)} read)"
    if found.classes:
        shown = [f"{inert(name)} ({number(count)})" for name, count in found.classes[:_SHOWN_CLASSES]]
        more = ["..."] if len(found.classes) > _SHOWN_CLASSES else []
        rows["classes"] = ", ".join([*shown, *more])
    lines = [table({name: value for name, value in rows.items() if value})]
    if found.broken_count:
        about = "about " if found.is_estimate else ""
        lines.append(f"\n{about}{number(found.broken_count)} cannot be used:")
        lines += [f"  {inert(one.where)}: {inert(one.reason)}" for one in found.broken]
    lines += [f"\n{remark}" for remark in found.remarks]
    if picture is not None:
        some = "1 image" if len(found.samples) == 1 else f"{len(found.samples)} images"
        lines.append(f"\n{some}: {picture}")
    for record in found.samples if is_text else ():
        lines.append(f"\n--- {inert(record.where)}\n{inert(str(record.content), _SHOWN_CHARACTERS)}")
    return "\n".join(lines)
