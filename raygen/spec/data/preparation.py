"""Preparing data before training: cleaned, tokenized or resized, shuffled, and written as shards that are streamed."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from raygen.spec.schema.base import Memory, Rule, Spec, Uri, plain_uri


class Preparation(Spec):
    """What `raygen prepare` makes of the data, and training reads instead of the sources.

    Training prepares by itself what is not there yet. Prepared data may be larger than memory, and is the same to the byte
    for any number of workers.
    """

    uri: Uri
    """Folder of the prepared data: a path, relative to the job file, file:// URI or s3://bucket/key. One folder holds one
    data set."""
    workers: Annotated[int, Field(ge=1, le=1024)] = 1
    """Processes that prepare at a time; with more than 1 as a pipeline of Ray Data, on a cluster in pods of their own."""
    cpus_per_worker: Annotated[int, Field(ge=1, le=64)] = 1
    """CPU cores of each of these pods."""
    memory_per_worker: Memory | None = None
    """Memory of each of these pods, as a Kubernetes quantity (4Gi), in bytes. Default: what the runtime gives."""
    shard_megabytes: Annotated[int, Field(ge=1, le=2048)] = 8
    """Size of a shard, in megabytes, of tokens, or of images as they are stored: what is read at once. PNG files become larger in memory."""
    shards_per_window: Annotated[int, Field(ge=1, le=1024)] = 8
    """How many shards training mixes at a time: it has two such windows in memory, of a mixture two for each source."""
    encoding: Literal["Raw", "PNG"] = "Raw"
    """How images are stored. Raw: their bytes, compressed by zstd; quick to read. PNG: smaller, for large pictures, and decoded
    for each batch. Both are without loss."""

    rules: ClassVar[tuple[Rule, ...]] = (plain_uri("uri"),)
