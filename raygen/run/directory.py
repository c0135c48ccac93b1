"""The run directory, the truth about a run: which objects it has, who may write them, how they merge.

    job.json                      the resolved job, its folder and machine as the newest attempt found them
    attempts/003.json             claimed by conditional create
    metrics/003-00001.jsonl       lines of measurements, in numbered segments of one attempt
    checkpoints/step-00002000/    raygen.checkpoint
    samples/step-00002000/        what the model made
    data/                         what later attempts need of the data set: its tokenizer
    rollbacks.json                how often guards sent the run back, why, and to which step
    outcome.json                  how the run ended

A run has one writer at a time: the newest attempt. An older one that still lives finds out by
`Attempt.check` and stops.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import secrets
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from raygen.errors import FencedError, InputError, OutputError
from raygen.run.measurements import Line, Metrics, MetricsWriter, finite, line_of, merge
from raygen.storage import AlreadyExistsError, NotFoundError, Storage, check_key, step_folder, step_of

JOB = "job.json"
OUTCOME = "outcome.json"
ROLLBACKS = "rollbacks.json"
REPORT = "report.html"

_ATTEMPT = re.compile(r"attempts/(\d{3,})\.json", re.ASCII)
_SEGMENT = re.compile(r"metrics/(\d{3,})-(\d{5,})\.jsonl", re.ASCII)
_PROBE_BYTES = 1 << 16


class RunDirectory:
    """The objects of one run.

    Args:
        storage: The folder of all runs.
        run: The run's name, one segment of a key.

    Attributes:
        name: The run's name.
        storage: The run's own folder.
        checkpoints: The folder of step folders, for `raygen.checkpoint`.
    """

    def __init__(self, storage: Storage, run: str) -> None:
        check_key(run)
        if "/" in run:
            raise InputError(f"the run name {run!r} has a '/' in it", remedy="Choose a name without one.")
        self.name = run
        self._runs = storage
        self.storage = storage.within(run)
        self.checkpoints = self.storage.within("checkpoints")

    @property
    def uri(self) -> str:
        """Where the run is, as a person would write it."""
        return self.storage.uri

    def probe(self) -> None:
        """Creates and deletes a small object beside the run, to find out before training whether the output takes any.

        Raises:
            OutputError: If it does not, or does not hold to conditional creates, which attempts rely on.
        """
        key = f"probe-{self.name}-{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        self._runs.create(key, bytes(_PROBE_BYTES))
        self._runs.delete(key)

    def create_job(self, document: Mapping[str, Any]) -> None:
        """Writes job.json, which must not exist; AlreadyExistsError if another process was first."""
        self.storage.create(JOB, _encode(document))

    def replace_job(self, document: Mapping[str, Any]) -> None:
        """Replaces job.json, for the settings that may differ between attempts."""
        self.storage.write(JOB, _encode(document))

    def note_place(self, base: str) -> None:
        """Writes into job.json where the job file's folder and the run are, if they were elsewhere; a run that is complete
        may lie where nothing can be written, and stays as it is.
        """
        document = self.read_job()
        place = {"base": base, "uri": self.uri}
        if document is not None and document != document | place:
            with suppress(OutputError):
                self.replace_job(document | place)

    def read_job(self) -> dict[str, Any] | None:
        """The resolved job, None if the run does not exist; OutputError if job.json is damaged."""
        return self._read(JOB)

    def write_outcome(self, document: Mapping[str, Any]) -> None:
        """Writes or replaces outcome.json; a number that is not finite becomes null."""
        self.storage.write(OUTCOME, _encode(document))

    def read_outcome(self) -> dict[str, Any] | None:
        """How the run ended, None if it has not; OutputError if outcome.json is damaged."""
        return self._read(OUTCOME)

    def write_rollbacks(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Replaces rollbacks.json: how often the run went back, why, and to which step."""
        self.storage.write(ROLLBACKS, _encode({"rollbacks": list(records)}))

    def read_rollbacks(self) -> list[dict[str, Any]]:
        """What `write_rollbacks` wrote, oldest first; OutputError if the file is damaged."""
        document = self._read(ROLLBACKS)
        return list(document["rollbacks"]) if document is not None else []

    def claim(self, resumed_from: int | None = None) -> Attempt:
        """Begins the next attempt; from here on, older ones are fenced off.

        Also removes what killed writers left unfinished.

        Args:
            resumed_from: The step of the checkpoint that the attempt continues, 0 for a fresh start,
                None if that is not known.
        """
        newest = max(self._numbers(), default=0)
        for number in itertools.count(newest + 1):
            record = AttemptRecord(
                number=number,
                host=socket.gethostname(),
                process=os.getpid(),
                started=_now(),
                raygen=version("raygen"),
                resumed_from=resumed_from,
            )
            try:
                self.storage.create(_attempt_key(number), _encode(asdict(record)))
            except AlreadyExistsError:
                continue
            self.storage.clean()
            return Attempt(self.storage, record)
        raise AssertionError("itertools.count ended")

    def attempts(self) -> list[AttemptRecord]:
        """Every attempt so far, oldest first. One whose file is damaged has only its number."""
        return [self._attempt(number) for number in sorted(self._numbers())]

    def metrics_writer(self, attempt: Attempt) -> MetricsWriter:
        """A writer of the attempt's measurements, after those that the attempt has already."""
        found = (_SEGMENT.fullmatch(entry.key) for entry in self.storage.list("metrics/"))
        own = [int(match[2]) for match in found if match and int(match[1]) == attempt.number]
        return MetricsWriter(self.storage, attempt.number, max(own, default=0))

    def read_metrics(self) -> Metrics:
        """All measurements of the run as one course; see `merge`."""
        lines: list[Line] = []
        damaged: list[str] = []
        found = ((_SEGMENT.fullmatch(entry.key), entry.key) for entry in self.storage.list("metrics/"))
        segments = [(int(match[1]), int(match[2]), key) for match, key in found if match]
        for attempt, _, key in sorted(segments):
            for index, text in enumerate(self.storage.read(key).splitlines(), start=1):
                try:
                    lines.append(line_of(text, attempt))
                except (ValueError, KeyError, TypeError, AttributeError):
                    damaged.append(f"{key}, line {index}, is damaged and was left out.")
        return Metrics(tuple(merge(lines, self.attempts())), tuple(damaged))

    def write_sample(self, step: int, name: str, data: bytes) -> str:
        """Writes or replaces one file of samples; returns its key in the run."""
        key = f"samples/{step_folder(step)}/{name}"
        self.storage.write(key, data)
        return key

    def samples(self) -> list[SampleFile]:
        """Every file of samples, by step and name."""
        found = []
        for entry in self.storage.list("samples/"):
            _, folder, name = [*entry.key.split("/", 2), ""][:3]
            step = step_of(folder)
            if step is not None and name:
                found.append(SampleFile(step, name, entry.key))
        return sorted(found)

    def write_data_files(self, files: Mapping[str, bytes]) -> None:
        """Writes what later attempts need of the data set."""
        for name, data in files.items():
            self.storage.write(f"data/{name}", data)

    def read_data_files(self) -> dict[str, bytes]:
        """What `write_data_files` wrote, by name."""
        return {e.key.removeprefix("data/"): self.storage.read(e.key) for e in self.storage.list("data/")}

    def _numbers(self) -> list[int]:
        matches = (_ATTEMPT.fullmatch(entry.key) for entry in self.storage.list("attempts/"))
        return [int(match[1]) for match in matches if match]

    def _attempt(self, number: int) -> AttemptRecord:
        try:
            return AttemptRecord(**json.loads(self.storage.read(_attempt_key(number))) | {"number": number})
        except (ValueError, TypeError):
            return AttemptRecord(number)

    def _read(self, key: str) -> dict[str, Any] | None:
        try:
            document = json.loads(self.storage.read(key))
        except NotFoundError:
            return None
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            raise OutputError(
                "the file is damaged: it does not hold a JSON object",
                where=f"{self.uri}/{key}",
                remedy="Restore it from a copy, or choose a new run name.",
            )
        return document


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """What attempts/NNN.json says. Times are UTC, ISO 8601.

    Attributes:
        number: From 1.
        host: The machine or pod that claimed it.
        process: Its process number there.
        started: When it was claimed.
        raygen: The version that runs it.
        resumed_from: The step it continued from, 0 for a fresh start, None if it did not get that far.
        ended: When it ended, None if it runs or was killed.
        cause: Why it ended.
        last_step: Steps completed when it ended.
        startup: Seconds of each phase up to the end of the first step, by its name; None before that.
    """

    number: int
    host: str = ""
    process: int = 0
    started: str = ""
    raygen: str = ""
    resumed_from: int | None = None
    ended: str | None = None
    cause: str | None = None
    last_step: int | None = None
    startup: dict[str, float] | None = None


class Attempt:
    """This process's claim on a run. Only its own file is ever rewritten."""

    def __init__(self, storage: Storage, record: AttemptRecord) -> None:
        self._storage = storage
        self.record = record

    @property
    def number(self) -> int:
        """The attempt's number, from 1."""
        return self.record.number

    def check(self) -> None:
        """One look at the storage; to be called before anything is committed or deleted.

        Raises:
            FencedError: If a newer attempt exists.
        """
        # Numbers have no gaps: a claim takes the first one after those that it sees.
        if self._storage.exists(_attempt_key(self.number + 1)):
            raise FencedError(
                f"attempt {self.number + 1} has taken over this run from attempt {self.number}",
                where=self._storage.uri,
                remedy="Let the newer one train, or choose another run name for this one.",
            )

    def resumed(self, step: int) -> None:
        """Notes which checkpoint the attempt goes on from, if that was not known when it was claimed; 0 for none."""
        self._rewrite(replace(self.record, resumed_from=step))

    def ready(self, seconds: Mapping[str, float]) -> None:
        """Notes how long each phase before the end of the first step took, in seconds."""
        self._rewrite(replace(self.record, startup={name: round(s, 3) for name, s in seconds.items()}))

    def end(self, cause: str, step: int) -> None:
        """Notes why and after how many steps the attempt ended."""
        self._rewrite(replace(self.record, ended=_now(), cause=cause, last_step=step))

    def _rewrite(self, record: AttemptRecord) -> None:
        self.record = record
        self._storage.write(_attempt_key(self.number), _encode(asdict(record)))


@dataclass(frozen=True, slots=True, order=True)
class SampleFile:
    """One file of samples: the step it was made after, its name, its key in the run."""

    step: int
    name: str
    key: str


def _attempt_key(number: int) -> str:
    return f"attempts/{number:03d}.json"


def _encode(document: Mapping[str, Any]) -> bytes:
    return json.dumps(finite(document), indent=2, allow_nan=False).encode() + b"\n"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
