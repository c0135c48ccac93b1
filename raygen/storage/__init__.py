"""Objects by URI: a local folder now, object stores behind the same interface."""

from __future__ import annotations

from raygen.storage.base import AlreadyExistsError, Buffer, Entry, NotFoundError, Storage
from raygen.storage.keys import check_key, step_folder, step_of
from raygen.storage.local import LocalStorage
from raygen.storage.uri import open_storage

__all__ = [
    "AlreadyExistsError",
    "Buffer",
    "Entry",
    "LocalStorage",
    "NotFoundError",
    "Storage",
    "check_key",
    "open_storage",
    "step_folder",
    "step_of",
]
