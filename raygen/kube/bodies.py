"""What objects of the API look like as JSON: the parts that all kinds share have types, the rest is each kind's own."""

from __future__ import annotations

from typing import Any, Required, TypedDict

Fields = dict[str, Any]
"""JSON of a shape that a kind's own schema describes: a spec, a status, a part of one; or an object as the server sent it."""


class OwnerReference(TypedDict, total=False):
    """To whom an object belongs (meta/v1)."""

    apiVersion: str
    kind: Required[str]
    name: Required[str]
    uid: Required[str]
    controller: bool
    blockOwnerDeletion: bool


class Metadata(TypedDict, total=False):
    """Metadata of an object, as far as raygen reads it (meta/v1); times as the API spells them."""

    name: Required[str]
    namespace: str
    uid: str
    resourceVersion: str
    generation: int
    creationTimestamp: str
    deletionTimestamp: str
    labels: dict[str, str]
    annotations: dict[str, str]
    ownerReferences: list[OwnerReference]


class Condition(TypedDict):
    """One condition of a status (meta/v1); `status` is True, False or Unknown."""

    type: str
    status: str
    observedGeneration: int
    lastTransitionTime: str
    reason: str
    message: str


class Body(TypedDict, total=False):
    """An object."""

    apiVersion: str
    kind: str
    metadata: Required[Metadata]
    spec: Fields
    status: Fields
