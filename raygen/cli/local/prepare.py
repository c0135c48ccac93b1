"""`raygen prepare`."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from raygen.cli.local.job_file import load_job, needs_training
from raygen.cli.output import number, print_result, table
from raygen.errors import InputError
from raygen.report.wording import size
from raygen.spec import resolve

if TYPE_CHECKING:
    from raygen.preparation.pipeline import Prepared


def run(args: argparse.Namespace) -> int:
    """Prepares the data of a job, and prints where it is."""
    loaded = load_job(args)
    if loaded.job.spec.preparation is None:
        raise InputError(
            "the job has no preparation",
            where=str(loaded.path),
            remedy="Add spec.preparation, for example {uri: prepared/}; training then streams from there.",
        )
    job = resolve(loaded.job)
    with needs_training():
        from raygen.compute.scale import available_cores
        from raygen.data.shards.dataset import remarks_on
        from raygen.training.data_preparation import prepare_data
    prepared = prepare_data(job, loaded.path.parent, args.cores or available_cores(), _notice)
    for remark in remarks_on(prepared.index, job):
        _notice(str(remark))
    print_result(args, _document(prepared), _text(prepared))
    return 0


def _notice(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def _document(prepared: Prepared) -> dict[str, object]:
    index = prepared.index
    shards = [shard for component in index.train for shard in component.shards]
    return {
        "uri": prepared.uri,
        "card": prepared.card,
        "fingerprint": index.fingerprint,
        "new": prepared.new,
        "kind": index.kind,
        "train": {"shards": len(shards), **_sums(shards)},
        "validation": {"shards": len(index.validation), **_sums(index.validation)},
    }


def _sums(shards: object) -> dict[str, int]:
    return {name: sum(getattr(shard, name) for shard in shards) for name in ("rows", "units", "bytes")}  # type: ignore[attr-defined]


def _text(prepared: Prepared) -> str:
    index = prepared.index
    unit, rows = ("tokens", "documents") if index.kind == "text" else ("images", "images")
    shards = [shard for component in index.train for shard in component.shards]

    def split(listed: object) -> str:
        sums = _sums(listed)
        counted = f"{number(sums['rows'])} {rows}"
        if index.kind == "text":
            counted += f", {number(sums['units'])} {unit}"
        return f"{counted}, {size(sums['bytes'])}"

    return table(
        {
            "state": "prepared" if prepared.new else "was prepared already",
            "train": split(shards),
            "validation": split(index.validation),
            "fingerprint": index.fingerprint,
            "data": prepared.uri,
            "card": prepared.card,
        }
    )
