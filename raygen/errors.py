"""Every exception that raygen raises on purpose.

RaygenError                 what, where, and what to do about it
├── InputError              the input is wrong: exit code 2
│   ├── JobFileError        a job file cannot be read as YAML or JSON
│   ├── ValidationError     a job has faults; holds all of them
│   ├── DataError           data is missing, empty, unreadable, or does not fit the model
│   │   └── DamagedError    content is cut off, damaged or of another kind; what was read before stands
│   ├── OutputError         the output cannot be written, is full, or belongs to another job
│   ├── ExportError         a model has no counterpart in the format asked for
│   └── MissingExtraError   an optional dependency is not installed
├── RunError                the run failed: exit code 1
│   ├── TrialsFailedError   more trials of a sweep have failed than may
│   ├── ObjectiveTimeoutError   a function that judges a trial takes longer than it may
│   ├── CheckpointError     a checkpoint is torn, altered, or does not fit the model
│   ├── GuardError          a guard stopped the run
│   ├── RollBackError       a guard sends the run back to a checkpoint; never seen by a user
│   ├── GateFailedError     a run is trained, and a metric does not pass its gate: exit code 4
│   ├── ModelError          a custom model raised an error, or broke the protocol
│   └── OutOfMemoryError    the job does not fit into the device's memory
├── ApiError                the Kubernetes API refuses (exit code 2), or fails or does not answer (1); in raygen.kube
└── FencedError             a newer attempt has taken over this run: exit code 1

A run that was asked to stop is not an error: `raygen.train` returns a result whose state is Stopped, exit code 3.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from raygen.spec.schema.faults import Fault

# A path that was cleaned has one slash where its URI had two. A password may hold slashes itself; what begins with digits is a port.
_PLACE = r"((?<=[A-Za-z0-9+.-]):/{1,2})"
_USER = re.compile(rf"{_PLACE}(?:[^/:]*:(?!\d+/).*|[^/]*)@", re.DOTALL)
_QUERY = re.compile(rf"{_PLACE}([^?#]*[?#]).+", re.DOTALL)


class RaygenError(Exception):
    """Base of all errors a user may see.

    Args:
        what: One sentence: what happened.
        where: The place: a path, a URI, a field.
        remedy: What to do about it, in the imperative.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.remedy = remedy

    @property
    def located(self) -> str:
        """Where it happened, and what."""
        return f"{self.where}: {self.what}" if self.where else self.what

    def __str__(self) -> str:
        parts = [self.located]
        if self.remedy:
            parts.append(self.remedy)
        return "\n".join(parts)


class InputError(RaygenError):
    """The input is wrong; running again without a change gives the same error."""

    exit_code = 2


class JobFileError(InputError):
    """A job file cannot be read."""


class ValidationError(InputError):
    """A job, or an object of another kind, has faults; `faults` holds every one of them.

    `noun` is what messages call such an object.
    """

    def __init__(self, faults: Sequence[Fault], *, where: str = "", noun: str = "job") -> None:
        count = len(faults)
        super().__init__(f"{count} fault{'s' if count != 1 else ''} in the {noun}", where=where)
        self.faults = tuple(faults)

    def __str__(self) -> str:
        return "\n".join([super().__str__(), *(str(fault) for fault in self.faults)])


class DataError(InputError):
    """Data is missing, empty, unreadable, or does not fit the model."""


class DamagedError(DataError):
    """Content is cut off, damaged or of another kind than it should be; what was read before it stands."""


class OutputError(InputError):
    """The output cannot be written, is full, or belongs to another job."""


class ExportError(InputError):
    """The model has no counterpart in the format asked for."""


class MissingExtraError(InputError):
    """An optional dependency is not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            f"{package} is not installed", remedy=f"Install it with: pip install 'raygen[{extra}]'"
        )


class RunError(RaygenError):
    """The run failed."""


class TrialsFailedError(RunError):
    """More trials of a sweep have failed than may."""


class ObjectiveTimeoutError(RunError):
    """A function that judges a trial takes longer than it may."""


class CheckpointError(RunError):
    """A checkpoint is torn, altered, or does not fit the model."""


class GuardError(RunError):
    """A guard stopped the run.

    Args:
        what: What happened, with the step.
        kind: The guard.
        where: The step.
        remedy: What to do about it.
    """

    def __init__(self, what: str, *, kind: str, where: str = "", remedy: str = "") -> None:
        super().__init__(what, where=where, remedy=remedy)
        self.kind = kind


class RollBackError(GuardError):
    """A guard sends the run back to a checkpoint."""


class GateFailedError(RunError):
    """A run is trained to its end, and a metric does not pass its gate."""

    exit_code = 4


class ModelError(RunError):
    """A custom model raised an error, or gave something that the protocol does not allow."""


class OutOfMemoryError(RunError):
    """The job does not fit into a device's memory."""


class FencedError(RaygenError):
    """A newer attempt has taken over this run; this one may not write any more."""


def reason_of(error: BaseException) -> str:
    """The word by which outcome.json, the report and a job's status say why a run failed: the guard that stopped it, GateFailed, or
    the class of the error. `raygen.spec.reasons` has what each means.
    """
    if isinstance(error, GateFailedError):
        return "GateFailed"
    return error.kind if isinstance(error, GuardError) else type(error).__name__


def without_secrets(uri: str) -> str:
    """A URI as it may be printed: without user, query and fragment, where passwords and signatures are. A path stays as it is."""
    return _QUERY.sub(r"\1\2...", _USER.sub(r"\1...@", uri))
