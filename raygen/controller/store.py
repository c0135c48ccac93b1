"""What the operator knows of the cluster: objects in memory, found by name or by an index."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from raygen.controller.queue import Key

Object = dict[str, Any]
Index = Callable[[Object], Iterable[str]]

REMEMBERED = 4096
"""Objects that were deleted, so that an older answer does not bring them back."""


def key_of(item: Object) -> Key:
    """Namespace and name of an object."""
    metadata = item["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


def version_of(item: Object) -> int:
    """The resourceVersion, which of objects of one kind is larger the newer they are (KEP-5504)."""
    return int(item["metadata"]["resourceVersion"])


class Store:
    """Objects of one kind; of each the newest that was seen. May be used by many threads at once.

    Args:
        indexes: For each index its name and the values that an object is found by.
    """

    def __init__(self, indexes: Mapping[str, Index] | None = None) -> None:
        self._indexes = dict(indexes or {})
        self._lock = threading.Lock()
        self._objects: dict[Key, Object] = {}
        self._found: dict[str, dict[str, set[Key]]] = {name: {} for name in self._indexes}
        self._removed: OrderedDict[Key, int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._objects)

    def get(self, key: Key) -> Object | None:
        """An object; not to be changed."""
        with self._lock:
            return self._objects.get(key)

    def keys(self) -> list[Key]:
        """The keys of all objects."""
        with self._lock:
            return list(self._objects)

    def all(self) -> list[Object]:
        """All objects; not to be changed."""
        with self._lock:
            return list(self._objects.values())

    def by(self, index: str, value: str) -> list[Object]:
        """The objects that an index has under a value, by their names."""
        with self._lock:
            return [self._objects[key] for key in sorted(self._found[index].get(value, ()))]

    def put(self, item: Object) -> tuple[bool, Object | None]:
        """Takes an object unless a newer one is known; whether it did, and what was there before."""
        key, version = key_of(item), version_of(item)
        with self._lock:
            before = self._objects.get(key)
            if before is not None and version_of(before) >= version:
                return False, before
            if self._removed.get(key, -1) >= version:
                return False, None
            self._set(key, item)
            return True, before

    def remove(self, item: Object) -> Object | None:
        """Takes note that an object was deleted; gives what was there, unless that is newer."""
        key, version = key_of(item), version_of(item)
        with self._lock:
            before = self._objects.get(key)
            if before is not None and version_of(before) > version:
                return None
            self._removed[key] = max(version, self._removed.pop(key, -1))
            while len(self._removed) > REMEMBERED:
                self._removed.popitem(last=False)
            self._set(key, None)
            return before

    def replace(
        self, items: Iterable[Object], version: int | None = None, namespace: str = ""
    ) -> list[tuple[Object | None, Object | None]]:
        """Takes a whole list; gives every change as (before, after).

        What was written while the list was on its way is newer than it, and stays.

        Args:
            items: All objects that there were.
            version: Of the list; None: whatever it lacks is gone.
            namespace: That the list is of; "": of all.
        """
        fresh = {key_of(item): item for item in items}
        changes: list[tuple[Object | None, Object | None]] = []
        with self._lock:
            listed = (key for key in self._objects if not namespace or key[0] == namespace)
            for key in [key for key in listed if key not in fresh]:
                if version is not None and version_of(self._objects[key]) > version:
                    continue
                changes.append((self._objects[key], None))
                self._set(key, None)
            for key, item in fresh.items():
                before = self._objects.get(key)
                if before is None or version_of(before) < version_of(item) or _another(before, item):
                    self._set(key, item)
                    changes.append((before, item))
        return changes

    def _set(self, key: Key, item: Object | None) -> None:
        before = self._objects.pop(key, None)
        for name, values in self._indexes.items():
            found = self._found[name]
            for value in values(before) if before is not None else ():
                found[value].discard(key)
                if not found[value]:
                    del found[value]
            for value in values(item) if item is not None else ():
                found.setdefault(value, set()).add(key)
        if item is not None:
            self._objects[key] = item


def _another(before: Object, after: Object) -> bool:
    return bool(before["metadata"]["uid"] != after["metadata"]["uid"])
