"""What the API server answers when it does not do as it is asked."""

from __future__ import annotations

import json
import re
from typing import Any

from raygen.errors import RaygenError

MAX_TEXT = 2000
"""Of a message that is shown, in characters; the server repeats what it was sent."""
NO_RIGHT = re.compile(
    r'cannot (?P<verb>\w+) resource "(?P<resource>[^"]+)" in API group "(?P<group>[^"]*)"'
    r'(?: in the namespace "(?P<namespace>[^"]+)")?'
)
"""How an API server says that somebody lacks a right."""
NO_PARAMETERS = "failed to find resource referenced by paramKind"
"""How an API server says that it does not know yet of a definition that an admission policy refers to, as for half a minute
after its start; see https://github.com/kubernetes/kubernetes, staging/src/k8s.io/apiserver/pkg/admission/plugin/policy/generic."""


class ApiError(RaygenError):
    """A request failed.

    Args:
        what: What the server says, or how it could not be reached.
        where: Method and path.
        status: HTTP status; 0 if there was no answer, and then the request may have been done.
        reason: The server's word for it, as AlreadyExists.
        retry_after: How long the server asks to wait, in seconds.
        causes: Faults of single fields: (path, message).
    """

    def __init__(
        self,
        what: str,
        *,
        where: str = "",
        remedy: str = "",
        status: int = 0,
        reason: str = "",
        retry_after: float | None = None,
        causes: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(what[:MAX_TEXT], where=where, remedy=remedy)
        self.status = status
        self.reason = reason
        self.retry_after = retry_after
        self.causes = causes

    @property
    def is_missing(self) -> bool:
        """There is no such object."""
        return self.status == 404

    @property
    def already_exists(self) -> bool:
        """An object of this name is there."""
        return self.status == 409 and self.reason == "AlreadyExists"

    @property
    def is_conflict(self) -> bool:
        """The object has changed, or a precondition does not hold."""
        return self.status == 409 and not self.already_exists

    @property
    def is_gone(self) -> bool:
        """What was asked for is too old: list again."""
        return self.status == 410

    @property
    def is_refused(self) -> bool:
        """The same request will be refused again: the object is wrong, or it is not allowed."""
        return self.status in (400, 403, 413, 422) and not self.is_early

    @property
    def exit_code(self) -> int:  # type: ignore[override]
        """2 where the caller has to change something, 1 where the server may do better another time."""
        return 2 if self.is_refused or self.status == 401 else 1

    @property
    def is_early(self) -> bool:
        """The API server cannot judge the request yet."""
        return NO_PARAMETERS in self.what


def error_of(status: int, body: bytes, headers: Any, where: str) -> ApiError:
    """The error that an answer means."""
    try:
        document = json.loads(body)
        message, reason = str(document["message"]), str(document.get("reason", ""))
        details = document.get("details") or {}
    except (ValueError, KeyError, TypeError, AttributeError):
        message, reason, details = body[:MAX_TEXT].decode(errors="replace").strip(), "", {}
    after = headers.get("Retry-After") or details.get("retryAfterSeconds")
    causes = tuple(
        (str(cause.get("field", "")), str(cause.get("message", ""))) for cause in details.get("causes") or ()
    )
    return ApiError(
        message or f"the API server answers {status}",
        where=where,
        remedy=_remedy(status, message),
        status=status,
        reason=reason,
        retry_after=float(str(after)) if str(after or "").isdigit() else None,
        causes=causes,
    )


def _remedy(status: int, message: str) -> str:
    """Which right to ask for, or to try again; "" where something else is against it, which the message explains."""
    if NO_PARAMETERS in message:
        return (
            "Try again in half a minute: the API server has just started, or the definition is new. Then install what is missing:"
            " kubectl apply -f manifests/crd"
        )
    if status == 401:
        return (
            "Log in to the cluster again: the credentials of the kubeconfig are not, or no longer, accepted."
        )
    found = NO_RIGHT.search(message) if status == 403 else None
    if found is None:
        return ""
    kind = ".".join(part for part in (found["resource"], found["group"]) if part)
    place = f"in the namespace {found['namespace']}" if found["namespace"] else "in the whole cluster"
    return f"Ask the administrator for the right to {found['verb']} {kind} {place}."
