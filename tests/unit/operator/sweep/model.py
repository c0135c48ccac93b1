"""A small kind that nothing else knows: its model, and what the API server knows of it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from raygen.spec.schema.base import Index, Kind, Name, Spec, Time
from raygen.spec.schema.crd import Column, CustomResource
from raygen.spec.status import Condition


class SweepMetadata(Spec):
    """Metadata of a sweep."""

    name: Name
    """Its name."""


class SweepSpec(Spec):
    """What is tried."""

    trials: Annotated[int, Field(ge=1, le=100)]
    """Number of trials."""


class SweepAttempts(Spec):
    """How often trials were begun."""

    begun: Index
    """Number of attempts that began."""
    ended: Index
    """Number of those that ended."""


class SweepStatus(Spec):
    """How a sweep goes."""

    conditions: Annotated[tuple[Condition, ...], Field(max_length=8)] = ()
    """What is so of it."""
    attempts: SweepAttempts | None = None
    """Attempts of all trials together."""
    trials: Index | None = None
    """Number of trials that ended."""
    completion_time: Time | None = None
    """When all had ended."""


class Sweep(Kind):
    """Trials of one job with other values."""

    api_version: Literal["raygen.io/v1alpha1"]
    """Version of this format."""
    kind: Literal["Sweep"]
    """Kind of this object."""
    metadata: SweepMetadata
    """Its name."""
    spec: SweepSpec
    """What is tried."""


SWEEPS = CustomResource(
    Sweep,
    plural="sweeps",
    short="rsw",
    scope="Namespaced",
    columns=(Column("Trials", "integer", ".status.trials"),),
    status=SweepStatus,
)
