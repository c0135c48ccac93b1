"""What the operator knows of the cluster: objects in memory, found by name or by an index."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping

from raygen.kube.bodies import Body

Index = Callable[[Body], Iterable[str]]
Place = tuple[str, str]
"""Namespace and name: what tells objects of one kind apart."""

REMEMBERED = 4096
"""Objects that were deleted, so that an older answer does not bring them back."""


def place_of(item: Body) -> Place:
    """Namespace and name of an object."""
    metadata = item["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


def version_of(item: Body) -> int:
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
        self._objects: dict[Place, Body] = {}
        self._found: dict[str, dict[str, set[Place]]] = {name: {} for name in self._indexes}
        self._removed: OrderedDict[Place, int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._objects)

    def get(self, place: Place) -> Body | None:
        """An object; not to be changed."""
        with self._lock:
            return self._objects.get(place)

    def places(self) -> list[Place]:
        """Namespace and name of all objects."""
        with self._lock:
            return list(self._objects)

    def all(self) -> list[Body]:
        """All objects; not to be changed."""
        with self._lock:
            return list(self._objects.values())

    def by(self, index: str, value: str) -> list[Body]:
        """The objects that an index has under a value, by their names."""
        with self._lock:
            return [self._objects[place] for place in sorted(self._found[index].get(value, ()))]

    def put(self, item: Body) -> tuple[bool, Body | None]:
        """Takes an object unless a newer one is known; whether it did, and what was there before."""
        place, version = place_of(item), version_of(item)
        with self._lock:
            before = self._objects.get(place)
            if before is not None and version_of(before) >= version:
                return False, before
            if self._removed.get(place, -1) >= version:
                return False, None
            self._set(place, item)
            return True, before

    def remove(self, item: Body) -> Body | None:
        """Takes note that an object was deleted; gives what was there, unless that is newer."""
        place, version = place_of(item), version_of(item)
        with self._lock:
            before = self._objects.get(place)
            if before is not None and version_of(before) > version:
                return None
            self._removed[place] = max(version, self._removed.pop(place, -1))
            while len(self._removed) > REMEMBERED:
                self._removed.popitem(last=False)
            self._set(place, None)
            return before

    def replace(
        self, items: Iterable[Body], version: int | None = None, namespace: str = ""
    ) -> list[tuple[Body | None, Body | None]]:
        """Takes a whole list; gives every change as (before, after).

        What was written while the list was on its way is newer than it, and stays.

        Args:
            items: All objects that there were.
            version: Of the list; None: whatever it lacks is gone.
            namespace: That the list is of; "": of all.
        """
        fresh = {place_of(item): item for item in items}
        changes: list[tuple[Body | None, Body | None]] = []
        with self._lock:
            listed = (place for place in self._objects if not namespace or place[0] == namespace)
            for place in [place for place in listed if place not in fresh]:
                if version is not None and version_of(self._objects[place]) > version:
                    continue
                changes.append((self._objects[place], None))
                self._set(place, None)
            for place, item in fresh.items():
                before = self._objects.get(place)
                if before is None or version_of(before) < version_of(item) or _another(before, item):
                    self._set(place, item)
                    changes.append((before, item))
        return changes

    def _set(self, place: Place, item: Body | None) -> None:
        before = self._objects.pop(place, None)
        for name, values in self._indexes.items():
            found = self._found[name]
            for value in values(before) if before is not None else ():
                found[value].discard(place)
                if not found[value]:
                    del found[value]
            for value in values(item) if item is not None else ():
                found.setdefault(value, set()).add(place)
        if item is not None:
            self._objects[place] = item


def _another(before: Body, after: Body) -> bool:
    return bool(before["metadata"]["uid"] != after["metadata"]["uid"])
