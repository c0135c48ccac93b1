"""Keeps a store as the API server has it: a list by pages, then a watch, and again whenever one of them ends."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from typing import Any

from raygen.kube import ApiError, Connection, Resource
from raygen.operator.store import Object, Store

log = logging.getLogger(__name__)

Listener = Callable[[Object | None, Object | None], None]
"""Is told of every change: the object before and after, None where there is none."""

WATCH_SECONDS = 300.0
SILENT_SECONDS = 100.0
"""After which a watch is dead: the server sends bookmarks about once a minute."""
FIRST_SECONDS, LONGEST_SECONDS = 0.2, 5.0
"""Pauses between tries double from the first to the longest: four requests in five seconds are no burden to any server."""
OLD_LISTS = 5
"""In a row before they are believed: the server was brought back to an earlier state, as from a backup."""


class Reflector:
    """A thread that keeps a store up to date.

    Args:
        connection: The API server.
        resource: The kind.
        namespace: Only this one; "": all.
        store: Is filled.
        trim: Makes of an object what is kept of it.
        listener: Is told of changes after the store has them.
        query: Further parameters, as a label selector.
        watch_seconds: How long one watch lasts.
        silent_seconds: After how much silence a watch is given up.
    """

    def __init__(
        self,
        connection: Connection,
        resource: Resource,
        store: Store,
        listener: Listener,
        *,
        namespace: str = "",
        trim: Callable[[Object], Object] = lambda item: item,
        query: dict[str, str] | None = None,
        watch_seconds: float = WATCH_SECONDS,
        silent_seconds: float = SILENT_SECONDS,
    ) -> None:
        self.resource, self.store = resource, store
        self._connection, self._namespace, self._query = connection, namespace, query or {}
        self._listener, self._trim = listener, trim
        self._watch_seconds, self._silent_seconds = watch_seconds, silent_seconds
        self._synced, self._stopped = threading.Event(), threading.Event()
        self._heard = time.monotonic()
        self._failure: ApiError | None = None
        # Versions of one server compare (KEP-5504).
        self._newest, self._old_lists = 0, 0
        self._thread = threading.Thread(target=self._run, name=f"reflector-{resource.plural}", daemon=True)

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def stop(self) -> None:
        """Asks it to end; a watch that waits ends by itself."""
        self._stopped.set()

    def wait(self, timeout: float) -> bool:
        """Whether the store was filled once, after at most `timeout` seconds."""
        return self._synced.wait(timeout)

    @property
    def silence(self) -> float:
        """How long ago the server was heard, in seconds."""
        return time.monotonic() - self._heard

    @property
    def failure(self) -> ApiError | None:
        """Why it does not work at the moment."""
        return self._failure

    def _run(self) -> None:
        version, failures = "", 0
        while not self._stopped.is_set():
            try:
                version = self._watch(version) if version else self._list()
                failures = 0
            except ApiError as error:
                self._failure = error
                if error.is_gone and version:
                    version = ""
                    continue
                pause = min(FIRST_SECONDS * 2.0**failures, LONGEST_SECONDS) * (0.5 + 0.5 * random.random())
                failures += 1
                if failures > 1:
                    log.warning("%s: %s; again in %.1f s", self.resource.plural, error.what, pause)
                # A server that was away may be another one now, or not know that place yet and keep a watch waiting.
                version = ""
                self._stopped.wait(max(pause, error.retry_after or 0.0))

    def _list(self) -> str:
        items, version = self._connection.list(self.resource, self._namespace, **self._query)
        if int(version) < self._newest and self._old_lists < OLD_LISTS:
            # From a server that lags behind: what it does not know yet would look like deleted.
            self._old_lists += 1
            raise ApiError(f"the list is of version {version}, and {self._newest} was seen before")
        # One that is believed although it is old is all that there is.
        known = int(version) if int(version) >= self._newest else None
        self._newest, self._old_lists = int(version), 0
        changes = self.store.replace(map(self._trim, items), known)
        self._hear()
        self._synced.set()
        for before, after in changes:
            self._listener(before, after)
        return version

    def _watch(self, version: str) -> str:
        seconds = self._watch_seconds * (0.9 + 0.2 * random.random())
        events = self._connection.watch(
            self.resource,
            self._namespace,
            version,
            seconds=seconds,
            silence=self._silent_seconds,
            **self._query,
        )
        for event in events:
            self._hear()
            item = event["object"]
            version = str(item["metadata"]["resourceVersion"])
            self._newest = max(self._newest, int(version))
            self._take(event["type"], item)
            if self._stopped.is_set():
                break
        return version

    def _take(self, kind: str, item: dict[str, Any]) -> None:
        if kind == "BOOKMARK":
            return
        item = self._trim(item)
        if kind == "DELETED":
            before = self.store.remove(item)
            if before is not None:
                self._listener(before, None)
            return
        taken, before = self.store.put(item)
        if taken:
            self._listener(before, item)

    def _hear(self) -> None:
        self._heard, self._failure = time.monotonic(), None
