"""When training waits for data for too long, and what to do about it in the job at hand."""

from __future__ import annotations

from collections.abc import Iterator

from raygen.spec import ResolvedJob

ADVISED_SHARE, ADVISED_SECONDS = 0.1, 10.0
"""Waiting for data that is advised on: so much of the time in steps, over as long at least."""
USUAL_READERS = 4
"""Processes that are proposed for reading ahead where there are none yet."""


def waiting_remedy(job: ResolvedJob) -> str:
    """What makes this job's data come faster, as a sentence: what helps most comes first."""
    *others, last = _remedies(job)
    text = f"{', '.join(others)}, or {last}." if others else f"{last}."
    return text[0].upper() + text[1:]


def _remedies(job: ResolvedJob) -> Iterator[str]:
    data, preparation = job.spec.data, job.spec.preparation
    if preparation is None:
        yield "prepare the data beforehand (spec.preparation, raygen prepare)"
        yield "keep it on a nearer or faster disk"
    else:
        if data.kind == "images" and preparation.encoding == "PNG":
            yield "prepare the images as Raw in another folder (preparation.encoding), which saves decoding them"
        if data.reading is None or data.reading.type == "InProcess":
            yield (
                f"let other processes read ahead (data.reading: {{type: RayData, workers: {USUAL_READERS}}})"
            )
        else:
            yield f"let more processes read ahead (data.reading.workers, now {data.reading.workers})"
        if preparation.uri.startswith("s3://"):
            yield "give the cache of shards a fast disk with room for all of them (RAYGEN_CACHE_DIR, RAYGEN_CACHE_LIMIT)"
        else:
            yield "keep the prepared data on a nearer or faster disk"
    yield "give each worker more cores (scale.cpusPerWorker)"
    if data.augmentation is not None:
        yield "change samples by less (data.augmentation)"
