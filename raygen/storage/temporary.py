"""Names of unfinished files, and how to tell that their writer is dead."""

from __future__ import annotations

import os
import re
import secrets
import socket
import time
from pathlib import Path

from raygen.storage.keys import TEMPORARY_PREFIX

FOREIGN_STALE_SECONDS = 24 * 3600
"""Age from which another machine's unfinished file counts as abandoned; no single object takes so long."""

_HOST = re.sub(r"[^A-Za-z0-9.]", "_", socket.gethostname())[:64]

# Tells this process from an earlier one with the same process number, as after a container's restart.
_LIFE = secrets.token_hex(4)


def temporary_name() -> str:
    """A new file name that says which process is writing."""
    return f"{TEMPORARY_PREFIX}{_HOST}-{os.getpid()}-{_LIFE}-{secrets.token_hex(4)}"


def is_stale(path: Path) -> bool:
    """Whether the writer of the temporary file at `path` is certainly, or by its age surely, gone."""
    parts = path.name.removeprefix(TEMPORARY_PREFIX).split("-")
    if len(parts) == 4 and parts[0] == _HOST and parts[1].isdecimal():
        if int(parts[1]) == os.getpid():
            return parts[2] != _LIFE
        if not _lives(int(parts[1])):
            return True
    return time.time() - path.stat().st_mtime > FOREIGN_STALE_SECONDS


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
