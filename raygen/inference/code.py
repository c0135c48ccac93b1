"""Makes a custom family's code importable: from the job file's folder, or from a package pinned by its hash."""

from __future__ import annotations

import hashlib
import sys
import tempfile
from pathlib import Path

from raygen.data.sources.files import local_path
from raygen.errors import InputError
from raygen.scratch import scratch_of_process
from raygen.spec import TrainingJob

SUFFIXES = (".py", ".whl", ".zip")


def install_code(job: TrainingJob, base: Path, scratch: Path | None = None) -> None:
    """Puts the code of a custom family first on the path of imports; nothing for other families.

    A package is copied after its hash was checked, and imported from the copy, so that what runs is what was
    checked.

    Args:
        job: The job.
        base: Folder of the job file.
        scratch: Folder for the copy, which somebody else deletes. Default: one that goes when the process does.

    Raises:
        InputError: the package is missing, of an unknown kind, or another one than the job names.
    """
    custom = job.spec.model.custom
    if custom is None:
        return
    if custom.package is None:
        _prepend(str(base.resolve()))
        return
    path = local_path(custom.package.uri, base)
    if path.suffix not in SUFFIXES:
        raise InputError(
            f"a package is one of {', '.join(SUFFIXES)}",
            where=str(path),
            remedy="Build a wheel or a zip archive, or give one .py file.",
        )
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"the package cannot be read: {error.strerror}",
            where=str(path),
            remedy="Correct spec.model.custom.package.uri.",
        ) from error
    found = hashlib.sha256(content).hexdigest()
    if found != custom.package.sha256:
        raise InputError(
            f"the package's SHA-256 is {found}, and the job names {custom.package.sha256}",
            where=str(path),
            remedy="Restore the package that the job was written for, or, if the change is meant, its sha256.",
        )
    folder = scratch_of_process() if scratch is None else Path(tempfile.mkdtemp(dir=scratch))
    copy = folder / path.name
    copy.write_bytes(content)
    _prepend(str(folder if path.suffix == ".py" else copy))


def _prepend(entry: str) -> None:
    if entry in sys.path:
        sys.path.remove(entry)
    sys.path.insert(0, entry)
