"""TensorBoard's event files: in a folder, or uploaded now and then where the run is in an object store."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Literal
from uuid import uuid4

from raygen.storage import Storage

Status = Literal["Succeeded", "Stopped", "Failed"]
"""How an attempt ended, as far as services know it."""

UPLOAD_SECONDS = 30.0
"""Shortest time between two uploads of an event file, which object stores take as a whole only."""
UPLOAD_SHARE = 0.05
"""Share of the time that uploads may take; the more the file grows, the rarer they are."""

_MEMORY = "raygen-memory"
_PNG_SIZE = struct.Struct(">16xII")


class TensorBoardTracker:
    """Event files that TensorBoard reads.

    Args:
        folder: Where to write them; made if it is missing.
        step: Steps done; TensorBoard hides what earlier attempts wrote after it.
    """

    def __init__(self, folder: Path | str, step: int = 0) -> None:
        from tensorboardX import SummaryWriter

        self._writer = SummaryWriter(
            str(folder),
            # Also where an attempt begins again at 0: one that was killed before its first checkpoint left points too.
            purge_step=step + 1,
            flush_secs=10,
            # The name holds only the second; an attempt that resumes at once would overwrite the file before.
            filename_suffix=f".{step:010}",
        )

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Writes one scalar for each value."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def text(self, step: int, name: str, text: str) -> None:
        """Writes the text as a Markdown code block, so that its lines stay and nothing in it is markup."""
        self._writer.add_text(name, "    " + text.replace("\n", "\n    "), step)

    def image(self, step: int, name: str, png: bytes) -> None:
        """Writes the picture as it is; the writer's own method would decode and encode it again."""
        from tensorboardX.proto.summary_pb2 import Summary

        width, height = _PNG_SIZE.unpack_from(png)
        image = Summary.Image(width=width, height=height, colorspace=3, encoded_image_string=png)
        summary = Summary(value=[Summary.Value(tag=name, image=image)])
        self._writer.file_writer.add_summary(summary, step)

    def close(self, status: Status = "Failed") -> None:  # noqa: ARG002 (event files know no status)
        """Writes out what is left."""
        self._writer.close()


class StoredTensorBoardTracker(TensorBoardTracker):
    """Event files for a run in an object store: gathered in memory, and uploaded whole.

    Args:
        storage: The folder of event files.
        step: As in TensorBoardTracker.
        clock: Seconds.
    """

    def __init__(self, storage: Storage, step: int = 0, clock: Callable[[], float] = time.monotonic) -> None:
        from tensorboardX.record_writer import register_writer_factory

        self._storage = storage
        self._clock = clock
        self._files: dict[str, _Kept] = {}
        scheme = f"{_MEMORY}-{uuid4().hex}"
        register_writer_factory(scheme, self)
        super().__init__(f"{scheme}:events", step)
        self._due = clock() + UPLOAD_SECONDS

    def directory_check(self, path: str) -> None:
        """TensorboardX asks for the folder: there is none to make."""

    def open(self, path: str) -> _Kept:
        """TensorboardX opens an event file."""
        return self._files.setdefault(PurePosixPath(path).name, _Kept())

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Writes one scalar for each value; uploads if it is time."""
        super().log(step, values)
        began = self._clock()
        if began >= self._due:
            self._upload()
            ended = self._clock()
            self._due = ended + max(UPLOAD_SECONDS, (ended - began) / UPLOAD_SHARE)

    def close(self, status: Status = "Failed") -> None:
        """Uploads all."""
        super().close(status)
        self._upload()

    def _upload(self) -> None:
        self._writer.flush()
        for name, file in self._files.items():
            self._storage.write(name, file.content)


class _Kept:
    """A file in memory whose content outlives its closing, with as much of a file as tensorboardX asks for."""

    def __init__(self) -> None:
        self._content = bytearray()

    @property
    def content(self) -> bytes:
        return bytes(self._content)

    def write(self, data: bytes) -> None:
        self._content += data

    def flush(self) -> None:
        """Nothing waits elsewhere."""

    def close(self) -> None:
        """Keeps the content."""
