"""How prepared data is read while a run trains."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from raygen.spec.schema.base import Tagged

_Workers = Annotated[int, Field(ge=1, le=1024)]
_Cores = Annotated[int, Field(ge=1, le=64)]


class Reading(Tagged):
    """How prepared data is read. The samples and their order are the same either way."""

    type: Literal["InProcess", "RayData"]
    """InProcess: each worker that trains reads on threads of its own. RayData: other processes fetch and decode shards ahead, as
    a pipeline of Ray Data; the run then trains on workers of Ray."""
    workers: _Workers | None = None
    """Shards that are read at a time, each by a process; a machine that is too small for them has fewer. Default: 1."""
    cpus_per_worker: _Cores | None = None
    """CPU cores that each of these processes books. Default: 1."""

    belongs: ClassVar[dict[str, tuple[str, ...]]] = {
        "workers": ("RayData",),
        "cpus_per_worker": ("RayData",),
    }


Reading.rules = Reading.foreign_rules()


class InProcessReading(Reading):
    """Resolved: on threads of those that train."""

    type: Literal["InProcess"]


class RayDataReading(Reading):
    """Resolved: by processes of Ray Data."""

    type: Literal["RayData"]
    workers: _Workers = 1
    cpus_per_worker: _Cores = 1


ResolvedReading = InProcessReading | RayDataReading
