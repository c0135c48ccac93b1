"""Places relative to the job file's folder, so that what names them is the same wherever that is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from raygen.data.cleaning.report import CleaningReport
from raygen.data.remarks import Remark


def shortening(base: str) -> Callable[[str], str]:
    """What makes a place relative: the URI of a file, and perhaps what of it.

    Only where the place begins, since names in a file, such as those of an archive's members, are as that has them.

    Args:
        base: Folder that relative paths start from.
    """
    folder = f"{base.rstrip('/')}/"
    return lambda place: place.removeprefix(folder)


def relative(
    report: CleaningReport, remarks: Sequence[Remark], base: str
) -> tuple[CleaningReport, tuple[Remark, ...]]:
    """The same, with relative places; reasons name none that is not relative.

    Args:
        report: What cleaning did.
        remarks: What was skipped or changed.
        base: Folder that relative paths start from.
    """
    short = shortening(base)
    filters = {
        name: replace(found, examples=[replace(each, where=short(each.where)) for each in found.examples])
        for name, found in report.filters.items()
    }
    named = tuple(replace(remark, examples=tuple(map(short, remark.examples))) for remark in remarks)
    return replace(report, filters=filters), named
