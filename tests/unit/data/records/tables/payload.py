"""An extension type as libraries register them, which says when pyarrow runs its code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

NAME = "raygen.test.payload"


@contextmanager
def registered() -> Iterator[tuple[Any, list[bytes]]]:
    """The type while it is registered, and what it was given to make sense of."""
    calls: list[bytes] = []

    class Payload(pa.ExtensionType):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(pa.string(), NAME)

        def __arrow_ext_serialize__(self) -> bytes:
            return b"cos\nsystem\n(S'true'\ntR."

        @classmethod
        def __arrow_ext_deserialize__(cls, storage_type: Any, serialized: bytes) -> Payload:
            calls.append(serialized)
            return cls()

    pa.register_extension_type(Payload())
    try:
        yield Payload(), calls
    finally:
        pa.unregister_extension_type(NAME)
