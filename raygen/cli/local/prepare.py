"""`raygen prepare`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from raygen.cli.local.job_file import load_job, needs_training
from raygen.cli.output import number, print_result, table
from raygen.errors import InputError
from raygen.report.wording import size
from raygen.spec import resolve

if TYPE_CHECKING:
    from raygen.data.shards.index import Shard
    from raygen.preparation.pipeline import Prepared


def run(args: argparse.Namespace) -> int:
    """Prepares the data of a job, and prints where it is."""
    loaded = load_job(args)
    preparation = loaded.job.spec.preparation
    if preparation is None:
        raise InputError(
            "the job has no preparation",
            where=str(loaded.path),
            remedy="Add spec.preparation, for example {uri: prepared/}; training then streams from there.",
        )
    job = resolve(loaded.job)
    with needs_training():
        from raygen.cli.display import Display
        from raygen.compute.scale import available_cores
        from raygen.data.shards.dataset import remarks_on
        from raygen.training.data_preparation import PreparationStoppedError, prepare_data
        from raygen.training.drain import hold
        from raygen.training.engine.control import Control
        from raygen.training.observers.events import Broadcast
        from raygen.training.observers.kubernetes import reporter
    control = Control()
    with Display() as display:
        status = reporter(display.notice)
        observer = Broadcast(display, *([] if status is None else [status]))
        try:
            cores = args.cores or available_cores()
            prepared = prepare_data(job, loaded.path.parent, cores, observer, control)
        except PreparationStoppedError:
            # By its pod, which goes; signals end it at once. What is done stays.
            if status is not None:
                status.stopped(control.reason or "")
            hold()
            return 3
        except (SystemExit, KeyboardInterrupt):
            if status is not None:
                status.stopped("Signal")
            raise
        except BaseException as error:
            if status is not None:
                status.failed(error)
            raise
        for remark in remarks_on(prepared.index, job):
            display.notice(str(remark))
        if status is not None:
            status.prepared(preparation.uri, prepared.index.fingerprint, _sentence(prepared))
    print_result(args, _document(prepared), _text(prepared))
    return 0


def _sentence(prepared: Prepared) -> str:
    words = "Prepared" if prepared.new else "It was prepared already"
    return f"{words}: {_split(prepared.index.kind, _train(prepared))} in {prepared.uri}."


def _document(prepared: Prepared) -> dict[str, object]:
    index = prepared.index
    shards = _train(prepared)
    return {
        "uri": prepared.uri,
        "card": prepared.card,
        "fingerprint": index.fingerprint,
        "new": prepared.new,
        "kind": index.kind,
        "train": {"shards": len(shards), **_sums(shards)},
        "validation": {"shards": len(index.validation), **_sums(index.validation)},
    }


def _train(prepared: Prepared) -> list[Shard]:
    return [shard for component in prepared.index.train for shard in component.shards]


def _split(kind: str, shards: Sequence[Shard]) -> str:
    sums = _sums(shards)
    counted = f"{number(sums['rows'])} {'documents' if kind == 'text' else 'images'}"
    if kind == "text":
        counted += f", {number(sums['units'])} tokens"
    return f"{counted}, {size(sums['bytes'])}"


def _sums(shards: Sequence[Shard]) -> dict[str, int]:
    return {name: sum(getattr(shard, name) for shard in shards) for name in ("rows", "units", "bytes")}


def _text(prepared: Prepared) -> str:
    index = prepared.index
    return table(
        {
            "state": "prepared" if prepared.new else "was prepared already",
            "train": _split(index.kind, _train(prepared)),
            "validation": _split(index.kind, index.validation),
            "fingerprint": index.fingerprint,
            "data": prepared.uri,
            "card": prepared.card,
        }
    )
