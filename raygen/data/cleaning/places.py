"""Places relative to the job file's folder, so that what names them is the same wherever that is."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from raygen.data.cleaning.report import CleaningReport
from raygen.data.remarks import Remark


def shortening(base: str) -> Callable[[str], str]:
    """What makes the places in a text relative.

    Args:
        base: Folder that relative paths start from.
    """
    # Reasons name places too, behind other words; within a path the same letters are no prefix.
    folder = re.compile(rf"(?<![^\s'\"(,;:]){re.escape(base.rstrip('/'))}/")
    return lambda text: folder.sub("", text)


def relative(
    report: CleaningReport, remarks: Sequence[Remark], base: str
) -> tuple[CleaningReport, tuple[Remark, ...]]:
    """The same, with relative places.

    Args:
        report: What cleaning did.
        remarks: What was skipped or changed.
        base: Folder that relative paths start from.
    """
    short = shortening(base)
    filters = {
        name: replace(
            found,
            examples=[
                replace(each, where=short(each.where), reason=short(each.reason)) for each in found.examples
            ],
        )
        for name, found in report.filters.items()
    }
    named = tuple(replace(remark, examples=tuple(map(short, remark.examples))) for remark in remarks)
    return replace(report, filters=filters), named
