"""A small kind that nothing else knows: its model, and what the API server knows of it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from raygen.spec.schema.base import Index, Kind, Name, Spec, Time
from raygen.spec.schema.crd import Column, CustomResource
from raygen.spec.status import Condition


class CampaignMetadata(Spec):
    """Metadata of a campaign."""

    name: Name
    """Its name."""


class CampaignSpec(Spec):
    """What is tried."""

    trials: Annotated[int, Field(ge=1, le=100)]
    """Number of trials."""


class CampaignAttempts(Spec):
    """How often trials were begun."""

    begun: Index
    """Number of attempts that began."""
    ended: Index
    """Number of those that ended."""


class CampaignStatus(Spec):
    """How a campaign goes."""

    conditions: Annotated[tuple[Condition, ...], Field(max_length=8)] = ()
    """What is so of it."""
    attempts: CampaignAttempts | None = None
    """Attempts of all trials together."""
    trials: Index | None = None
    """Number of trials that ended."""
    completion_time: Time | None = None
    """When all had ended."""


class Campaign(Kind):
    """Trials of one job with other values."""

    api_version: Literal["raygen.io/v1alpha1"]
    """Version of this format."""
    kind: Literal["Campaign"]
    """Kind of this object."""
    metadata: CampaignMetadata
    """Its name."""
    spec: CampaignSpec
    """What is tried."""


CAMPAIGNS = CustomResource(
    Campaign,
    plural="campaigns",
    short="rsw",
    scope="Namespaced",
    columns=(Column("Trials", "integer", ".status.trials"),),
    status=CampaignStatus,
)
