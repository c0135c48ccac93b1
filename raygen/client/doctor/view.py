"""A cluster as somebody sees it: each question is asked once, and what is hidden is no error."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from raygen.errors import RaygenError
from raygen.kube import RUNTIMES, ApiError, Connection, Resource
from raygen.spec.runtime import RaygenRuntimeSpec, parse_runtime

Object = dict[str, Any]

NAMES_ALONE = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
"""An answer without what Secrets hold."""


class HiddenError(Exception):
    """The caller may not see it; the text says which right is missing."""


@dataclass
class View:
    """The cluster.

    Attributes:
        connection: The API server.
        namespace: That jobs are to run in.
        runtime_name: The RaygenRuntime that jobs name.
    """

    connection: Connection
    namespace: str
    runtime_name: str = "default"
    _known: dict[str, Object | None] = field(default_factory=dict)

    def ask(self, path: str, *, names_alone: bool = False) -> Object | None:
        """An object or a list; None if there is no such thing.

        Raises:
            HiddenError: It may not be seen.
        """
        if path not in self._known:
            try:
                self._known[path] = self.connection.request(
                    "GET", path, accept=NAMES_ALONE if names_alone else None
                )
            except ApiError as error:
                if error.status == 403:
                    raise HiddenError(f"{error.what}. {error.remedy}".strip()) from error
                if not error.is_missing:
                    raise
                self._known[path] = None
        return self._known[path]

    def list(self, resource: Resource, namespace: str = "", *, selector: str = "") -> list[Object]:
        """Objects, of which clusters have few; none if there is no such kind."""
        query = f"?labelSelector={selector}" if selector else ""
        found = self.ask(resource.path(namespace) + query)
        items: list[Object] = found["items"] if found is not None else []
        return items

    def may(self, verb: str, resource: str, namespace: str, *, name: str = "", account: str = "") -> bool:
        """Whether somebody has a right: the caller, or a service account as NAMESPACE:NAME.

        Raises:
            HiddenError: That may not be asked.
        """
        group, _, plural = resource.rpartition("/")
        plural, _, sub = plural.partition(":")
        spec: Object = {
            "resourceAttributes": {
                "verb": verb,
                "group": group,
                "resource": plural,
                "subresource": sub,
                "namespace": namespace,
                "name": name,
            }
        }
        kind = "SelfSubjectAccessReview"
        if account:
            kind = "SubjectAccessReview"
            place = account.split(":")[0]
            spec |= {
                "user": f"system:serviceaccount:{account}",
                "groups": [
                    "system:serviceaccounts",
                    f"system:serviceaccounts:{place}",
                    "system:authenticated",
                ],
            }
        body = {"apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": spec}
        try:
            made = self.connection.request(
                "POST", f"/apis/authorization.k8s.io/v1/{kind.lower()}s", body=body
            )
        except ApiError as error:
            if error.status == 403:
                raise HiddenError(f"{error.what}. {error.remedy}".strip()) from error
            raise
        return bool(made["status"]["allowed"])

    def runtime(self) -> RaygenRuntimeSpec | None:
        """What the runtime grants; None if there is none, or it cannot be read."""
        document = self.ask(RUNTIMES.path(name=self.runtime_name))
        if document is None:
            return None
        document = {key: document[key] for key in ("apiVersion", "kind", "metadata", "spec")}
        kept = ("name", "labels", "annotations")
        document["metadata"] = {key: value for key, value in document["metadata"].items() if key in kept}
        try:
            return parse_runtime(document).spec
        except RaygenError:
            return None
