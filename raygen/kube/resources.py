"""The kinds that raygen reads or writes, and their paths in the API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from raygen.spec import kinds
from raygen.spec.names import GROUP, VERSION
from raygen.spec.schema.crd import CustomResource


@dataclass(frozen=True)
class Resource:
    """A kind of the API.

    Attributes:
        group: Its group, "" for the core.
        version: Its version.
        plural: Its name in paths.
        kind: Its name in objects.
        namespaced: Whether its objects are in namespaces.
    """

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True

    @classmethod
    def of(cls, kind: CustomResource) -> Self:
        """One of raygen's own kinds."""
        return cls(GROUP, VERSION, kind.plural, kind.kind.__name__, namespaced=kind.scope == "Namespaced")

    @property
    def api_version(self) -> str:
        """As objects have it."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The path of a list, an object or its subresource; without a namespace, of all of them."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        place = f"/namespaces/{namespace}" if namespace and self.namespaced else ""
        return "/".join(part for part in (root + place, self.plural, name, subresource) if part)


TRAINING_JOBS = Resource.of(kinds.JOBS)
SWEEPS = Resource.of(kinds.SWEEPS)
RUNTIMES = Resource.of(kinds.RUNTIMES)
RAY_JOBS = Resource("ray.io", "v1", "rayjobs", "RayJob")
RAY_CLUSTERS = Resource("ray.io", "v1", "rayclusters", "RayCluster")
PODS = Resource("", "v1", "pods", "Pod")
EVENTS = Resource("", "v1", "events", "Event")
EVENTS_WRITE = Resource("events.k8s.io", "v1", "events", "Event")
"""The same objects; through this group they are written, so that a role can allow to read them through the core alone."""
SECRETS = Resource("", "v1", "secrets", "Secret")
"""Read by people for the dashboard's token; the operator may not."""
LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease")
