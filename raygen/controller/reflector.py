"""Keeps a store as the API server has it: a list by pages, then a watch, and again whenever one of them ends."""

from __future__ import annotations

import logging
import math
import random
import threading
import time
import traceback
from collections.abc import Callable
from typing import cast

from raygen.controller.store import Store, place_of
from raygen.kube import ApiError, Connection, Resource
from raygen.kube.bodies import Body, Fields

log = logging.getLogger(__name__)

Listener = Callable[[Body | None, Body | None], None]
"""Is told of every change: the object before and after, None where there is none."""

WATCH_SECONDS = 300.0
SILENT_SECONDS = 100.0
"""After which a watch is dead: the server sends bookmarks about once a minute."""
FIRST_SECONDS, LONGEST_SECONDS = 0.2, 5.0
"""Pauses between tries double from the first to the longest: four requests in five seconds are no burden to any server."""
ASKED_SECONDS = 60.0
"""For which a server that asks for a pause gets one, at most."""
BRIEF_SECONDS = 0.5
"""A watch that ended sooner was for nothing; from the second in a row on there is a pause after it too."""
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
        clock: Seconds that only grow.
        pause: Waits for seconds. Default: until `stop`.
    """

    def __init__(
        self,
        connection: Connection,
        resource: Resource,
        store: Store,
        listener: Listener,
        *,
        namespace: str = "",
        trim: Callable[[Fields], Body] = lambda item: cast("Body", item),
        query: dict[str, str] | None = None,
        watch_seconds: float = WATCH_SECONDS,
        silent_seconds: float = SILENT_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], object] | None = None,
    ) -> None:
        self.resource, self.store = resource, store
        self._connection, self._namespace, self._query = connection, namespace, query or {}
        self._listener, self._trim = listener, trim
        self._watch_seconds, self._silent_seconds = watch_seconds, silent_seconds
        self._synced, self._stopped = threading.Event(), threading.Event()
        self._clock, self._pause = clock, pause or self._stopped.wait
        self._heard = self._moved = clock()
        self._failure: Exception | None = None
        self._kinds: set[tuple[type[Exception], str]] = set()
        self._failures = 0
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
        return self._clock() - self._heard

    @property
    def stillness(self) -> float:
        """How long ago it did anything, if only to try and fail, in seconds; without end if its thread is dead."""
        return self._clock() - self._moved if self._thread.is_alive() else math.inf

    @property
    def failure(self) -> Exception | None:
        """Why it does not work at the moment."""
        return self._failure

    def _run(self) -> None:
        version = ""
        while not self._stopped.is_set():
            self._moved = self._clock()
            try:
                version = self._round(version)
            except Exception as error:  # noqa: BLE001 (its end would be silence, and nothing would be seen any more)
                # A server that was away may be another one now, or not know that place yet and keep a watch waiting.
                version = ""
                self._fail(error)

    def _round(self, version: str) -> str:
        """A list or a watch; from where to go on, "" for a list."""
        if not version:
            return self._list()
        begun = self._clock()
        try:
            version = self._watch(version)
        except ApiError as error:
            if not error.is_gone:
                raise
            self._failure, version = error, ""
        finally:
            # A list alone is no success: it is the watch that costs the server little.
            is_brief = self._clock() - begun < BRIEF_SECONDS
            if not is_brief:
                self._failures = 0
        if is_brief:
            self._failures += 1
            if self._failures > 1:
                self._pause(_backoff(self._failures - 2))
        return version

    def _fail(self, error: Exception) -> None:
        self._failure, self._moved = error, self._clock()
        pause = _backoff(self._failures)
        self._failures += 1
        if isinstance(error, ApiError):
            pause = max(pause, min(error.retry_after or 0.0, ASKED_SECONDS))
            if self._failures > 1:
                log.warning("%s: %s; again in %.1f s", self.resource.plural, error.what, pause)
        else:
            self._log(error, f"again in {pause:.1f} s")
        self._pause(pause)

    def _log(self, error: Exception, consequence: str) -> None:
        """With its traceback where it is the first of its kind."""
        place = traceback.extract_tb(error.__traceback__)[-1]
        kind = type(error), f"{place.filename}:{place.lineno}"
        log.error(
            "%s: %s: %s; %s",
            self.resource.plural,
            type(error).__name__,
            error,
            consequence,
            exc_info=None if kind in self._kinds else error,
        )
        self._kinds.add(kind)

    def _list(self) -> str:
        items, version = self._connection.list(self.resource, self._namespace, **self._query)
        if int(version) < self._newest and self._old_lists < OLD_LISTS:
            # From a server that lags behind: what it does not know yet would look like deleted.
            self._old_lists += 1
            raise ApiError(f"the list is of version {version}, and {self._newest} was seen before")
        # One that is believed although it is old is all that there is.
        known = int(version) if int(version) >= self._newest else None
        self._newest, self._old_lists = int(version), 0
        kept = [one for one in map(self._kept, items) if one is not None]
        changes = self.store.replace(kept, known, self._namespace)
        self._hear()
        self._synced.set()
        for before, after in changes:
            self._tell(before, after)
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

    def _take(self, kind: str, item: Fields) -> None:
        if kind == "BOOKMARK":
            return
        if kind == "DELETED":
            before = self.store.remove({"metadata": item["metadata"]})
            if before is not None:
                self._tell(before, None)
            return
        kept = self._kept(item)
        if kept is None:
            return
        taken, before = self.store.put(kept)
        if taken:
            self._tell(before, kept)

    def _kept(self, item: Fields) -> Body | None:
        """What is kept of an object; of one that cannot be read what was known of it before, if anything was."""
        try:
            return self._trim(item)
        except Exception as error:  # noqa: BLE001 (one object must not keep the others from being seen)
            place = place_of({"metadata": item["metadata"]})
            self._log(error, f"{'/'.join(place)} is passed over")
            return self.store.get(place)

    def _tell(self, before: Body | None, after: Body | None) -> None:
        try:
            self._listener(before, after)
        except Exception as error:  # noqa: BLE001 (nor from being worked on)
            item = after or before
            place = "/".join(place_of(item)) if item is not None else ""
            self._log(error, f"nobody is told of {place}")

    def _hear(self) -> None:
        self._heard = self._moved = self._clock()
        self._failure = None


def _backoff(failures: int) -> float:
    """Seconds to wait after so many failures in a row, the latest not counted."""
    return min(FIRST_SECONDS * 2.0 ** min(failures, 16), LONGEST_SECONDS) * (0.5 + 0.5 * random.random())
