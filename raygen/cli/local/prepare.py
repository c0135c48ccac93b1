"""`raygen prepare`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

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
        from raygen.preparation.card.observations import observations
        from raygen.training.data_preparation import PreparationStoppedError, prepare_data
        from raygen.training.drain import hold
        from raygen.training.engine.control import Control
        from raygen.training.observers.events import Broadcast
        from raygen.training.observers.job_status import reporter
        from raygen.training.ray.log_capture import keep_preparation_logs
    keep_preparation_logs(job)
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
        for told in (*observations(prepared.index, job), *map(str, remarks_on(prepared.index, job))):
            display.notice(told)
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
            **_losses(index.counts),
            "fingerprint": index.fingerprint,
            "data": prepared.uri,
            "card": prepared.card,
        }
    )


def _losses(counts: Mapping[str, Any]) -> dict[str, str]:
    """What of the sources is not in the data set, and whether its splits are apart; without what there is nothing of."""
    from raygen.data.cleaning.report import BROKEN, CleaningReport
    from raygen.preparation.duplicates import FILTER

    report = CleaningReport.from_json(counts["cleaning"])
    certificate, remarks = counts["certificate"], counts["remarks"]
    dropped = {name: found.dropped for name, found in report.filters.items() if found.dropped}
    broken = dropped.pop(BROKEN, 0)
    duplicates = dropped.pop(FILTER, 0)
    by_filter = ", ".join(
        f"{name} {number(count)}" for name, count in sorted(dropped.items(), key=lambda one: -one[1])
    )
    about = "about " if report.is_estimate else ""
    lines = {
        "broken": f"{about}{number(broken)} of {number(report.records)} records" if broken else "",
        "left out": f"{number(sum(dropped.values()))} records: {by_filter}" if dropped else "",
        "duplicates": f"{number(duplicates)} left out" if duplicates else "",
        "remarks": f"{number(len(remarks))} on what was skipped or converted; the card has them"
        if remarks
        else "",
        "certificate": _certificate(certificate) if certificate is not None else "",
    }
    return {name: line for name, line in lines.items() if line}


def _certificate(certificate: Mapping[str, Any]) -> str:
    if certificate["holds"]:
        return "holds: no validation record has a near duplicate in training"
    return "does not hold: validation records have near duplicates in training; the card says more"
