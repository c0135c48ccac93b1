"""Requests to an API server, with the credentials of a kubeconfig or of the pod that this runs in.

The `kubernetes` package finds and renews credentials. Objects stay JSON: its typed models take twelve times as long
to read, and forget fields that they do not know.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, urlencode

import urllib3
from kubernetes.client import ApiClient, Configuration
from kubernetes.config import list_kube_config_contexts, load_incluster_config, load_kube_config
from kubernetes.config.kube_config import KUBE_CONFIG_DEFAULT_LOCATION, KubeConfigMerger

from raygen import __version__
from raygen.kube.bodies import Fields
from raygen.kube.errors import ApiError, error_of
from raygen.kube.resources import Resource

APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
OPERATIONS = "application/json-patch+json"
PAGE = 500
"""Objects of one answer to a list."""
CONNECT_SECONDS, SECONDS = 10.0, 30.0
"""In which a connection must be there, and an answer begin or go on."""


class Connection:
    """The API server. May be used by many threads at once.

    Attributes:
        namespace: The one that the kubeconfig or the pod names.
        configuration: Address and credentials.
        impersonation: Headers by which somebody with the right to acts as somebody else.
        may_write: Is asked before each request that changes something; where it says no, none is sent.
        on_answer: Is told of each request when its answer begins: method, path with its query, and status; 0 if none came.
    """

    def __init__(
        self,
        configuration: Configuration,
        namespace: str = "default",
        *,
        pool: int = 16,
        seconds: float = SECONDS,
        impersonation: tuple[tuple[str, str], ...] = (),
    ) -> None:
        configuration.connection_pool_maxsize = pool
        # What is tried again, and when, is decided here and not below.
        configuration.retries = False
        self.namespace = namespace
        self.configuration = configuration
        self.impersonation = impersonation
        self.may_write: Callable[[], bool] = lambda: True
        self.on_answer: Callable[[str, str, int], None] = lambda *_: None
        self._seconds = seconds
        self._pool: urllib3.PoolManager = ApiClient(configuration).rest_client.pool_manager

    def get(self, resource: Resource, namespace: str, name: str) -> Fields:
        """An object."""
        return self.request("GET", resource.path(namespace, name))

    def create(self, resource: Resource, namespace: str, body: Fields, **query: str) -> Fields:
        """Makes an object."""
        return self.request("POST", resource.path(namespace), query=query, body=body)

    def apply(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        body: Fields,
        *,
        manager: str,
        subresource: str = "",
        dry_run: bool = False,
    ) -> Fields:
        """Server-side apply: `body` is all that `manager` wants of the object; conflicts are won."""
        query = {"fieldManager": manager, "force": "true", "fieldValidation": "Strict"}
        if dry_run:
            query["dryRun"] = "All"
        path = resource.path(namespace, name, subresource)
        return self.request("PATCH", path, query=query, body=body, content_type=APPLY)

    def change(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        operations: Sequence[Fields],
        *,
        manager: str,
    ) -> Fields:
        """Changes an object by the operations of a JSON Patch (RFC 6902), all of them or none."""
        query = {"fieldManager": manager, "fieldValidation": "Strict"}
        path = resource.path(namespace, name)
        return self.request("PATCH", path, query=query, body=operations, content_type=OPERATIONS)

    def delete(self, resource: Resource, namespace: str, name: str, *, uid: str) -> None:
        """Deletes an object if it is still this one; one that is gone is no error."""
        body = {"preconditions": {"uid": uid}, "propagationPolicy": "Background"}
        try:
            self.request("DELETE", resource.path(namespace, name), body=body)
        except ApiError as error:
            if not (error.is_missing or error.is_conflict):
                raise

    def list(self, resource: Resource, namespace: str = "", **query: str) -> tuple[list[Fields], str]:
        """All objects, by pages, and the version of the list."""
        found: list[Fields] = []
        parameters = {"limit": str(PAGE), **query}
        while True:
            page = self.request("GET", resource.path(namespace), query=parameters)
            found.extend(page["items"])
            metadata = page["metadata"]
            if not metadata.get("continue"):
                return found, metadata["resourceVersion"]
            parameters["continue"] = metadata["continue"]

    def watch(
        self,
        resource: Resource,
        namespace: str,
        version: str,
        *,
        seconds: float,
        silence: float,
        **query: str,
    ) -> Iterator[Fields]:
        """Changes since a version, as the server sends them, bookmarks included.

        Ends after `seconds`, and with an error when nothing was heard for `silence` seconds.
        """
        parameters = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(int(seconds)),
            **query,
        }
        with self._answer("GET", resource.path(namespace), query=parameters, read=silence) as answer:
            for line in _lines(answer):
                event = json.loads(line)
                if event["type"] == "ERROR":
                    status = event["object"]
                    body = json.dumps(status).encode()
                    raise error_of(int(status.get("code", 500)), body, {}, f"watch of {resource.plural}")
                yield event

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Fields | Sequence[Fields] | None = None,
        content_type: str = "application/json",
        seconds: float | None = None,
        accept: str | None = None,
    ) -> Fields:
        """One request and its JSON answer, which must begin within `seconds`, and be of the type `accept`.

        Raises:
            ApiError: The server refuses, or does not answer; or this process may not write.
        """
        if method != "GET" and not self.may_write():
            raise ApiError("this process may not write at present", where=f"{method} {path}")
        with self._answer(
            method, path, query=query, body=body, content_type=content_type, read=seconds, accept=accept
        ) as answer:
            try:
                document: Fields = json.loads(answer.data)
            except ValueError as error:
                raise ApiError(
                    f"the API server's answer is not JSON: {_words(error)}",
                    where=f"{method} {path}",
                    remedy="Check the address in the kubeconfig, and what stands between it and here.",
                ) from error
            return document

    def text(self, path: str, **query: str) -> str:
        """What an address gives that answers with text, as the log of a pod does.

        Raises:
            ApiError: The server refuses, or does not answer.
        """
        # It refuses requests for text alone, since that is not a type of an object.
        with self._answer("GET", path, query=query, accept="application/json, */*") as answer:
            return bytes(answer.data).decode(errors="replace")

    @contextmanager
    def _answer(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Fields | Sequence[Fields] | None = None,
        content_type: str = "application/json",
        read: float | None = None,
        accept: str | None = None,
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        where = f"{method} {path}"
        wait = self._seconds if read is None else read
        headers = urllib3.HTTPHeaderDict(self.impersonation)
        headers["Accept"] = accept or "application/json"
        headers["User-Agent"] = f"raygen/{__version__}"
        token = self.configuration.get_api_key_with_prefix("authorization", alias="BearerToken")
        if token:
            headers["Authorization"] = token
        encoded = None
        if body is not None:
            encoded = json.dumps(body, separators=(",", ":")).encode()
            headers["Content-Type"] = content_type
        target = path + (f"?{urlencode(query)}" if query else "")
        is_answered = False
        try:
            answer = self._pool.request(
                method,
                self.configuration.host + target,
                body=encoded,
                headers=headers,
                timeout=urllib3.Timeout(connect=min(CONNECT_SECONDS, self._seconds, wait), read=wait),
                preload_content=False,
                redirect=False,
            )
            is_answered = True
            self.on_answer(method, target, answer.status)
            try:
                if answer.status >= 300:
                    raise error_of(answer.status, answer.data, answer.headers, where)
                yield answer
            finally:
                # Whoever stops reading in the middle of an answer must not give the connection to the next.
                if not answer.closed:
                    answer.close()
                answer.release_conn()
        except (urllib3.exceptions.HTTPError, OSError) as error:
            if not is_answered:
                self.on_answer(method, target, 0)
            raise ApiError(
                f"the API server does not answer: {_words(error)}",
                where=where,
                remedy="Check the address in the kubeconfig, and that the cluster runs.",
            ) from error


def connect(
    kubeconfig: str | None = None,
    context: str | None = None,
    *,
    pool: int = 16,
    seconds: float = SECONDS,
) -> Connection:
    """The cluster of a kubeconfig, or else of the pod that this runs in.

    Args:
        kubeconfig: Path. Default: KUBECONFIG, or ~/.kube/config, or the pod's service account.
        context: Name of a context in it. Default: the current one.
        pool: Requests at the same time.
        seconds: In which an answer must begin.

    Raises:
        ApiError: There are no credentials.
    """
    configuration = Configuration()
    try:
        if (
            kubeconfig is None
            and not os.environ.get("KUBECONFIG")
            and os.environ.get("KUBERNETES_SERVICE_HOST")
        ):
            load_incluster_config(configuration)  # type: ignore[no-untyped-call]
            own = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace").read_text(encoding="utf-8")
            return Connection(configuration, own.strip(), pool=pool, seconds=seconds)
        load_kube_config(kubeconfig, context, configuration, persist_config=False)  # type: ignore[no-untyped-call]
        chosen = _chosen(kubeconfig, context)
        users = KubeConfigMerger(str(kubeconfig or KUBE_CONFIG_DEFAULT_LOCATION)).config  # type: ignore[no-untyped-call]
    except Exception as error:  # the package lets through what its parsers raise: of YAML, of certificates
        raise ApiError(
            f"there is no cluster to talk to: {_words(error)}",
            remedy="Set KUBECONFIG to the file of your cluster, or name it with --kubeconfig.",
        ) from error
    acting = _impersonation(users.value, chosen.get("user"))
    namespace = str(chosen.get("namespace") or "default")
    return Connection(configuration, namespace, pool=pool, seconds=seconds, impersonation=acting)


def _chosen(kubeconfig: str | None, context: str | None) -> Fields:
    """What a context of the kubeconfig names."""
    contexts, active = list_kube_config_contexts(kubeconfig)  # type: ignore[no-untyped-call]
    chosen: Fields = next((one for one in contexts if one["name"] == context), active)["context"]
    return chosen


def _impersonation(config: Fields, user: str | None) -> tuple[tuple[str, str], ...]:
    """As whom a kubeconfig says to act, which the package passes over: requests would have all rights of the real user."""
    named = [getattr(one, "value", one) for one in config.get("users") or ()]
    found = next((one["user"] for one in named if one["name"] == user), None) or {}
    found = getattr(found, "value", found)
    headers = [("Impersonate-User", found["as"])] if found.get("as") else []
    headers += [("Impersonate-Uid", found["as-uid"])] if found.get("as-uid") else []
    headers += [("Impersonate-Group", group) for group in found.get("as-groups") or ()]
    for key, values in (found.get("as-user-extra") or {}).items():
        headers += [(f"Impersonate-Extra-{quote(key, safe='')}", value) for value in values]
    return tuple(headers)


def _lines(answer: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    rest = b""
    for chunk in answer.stream(65_536):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines


def _words(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
