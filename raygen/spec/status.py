"""The status of a TrainingJob, and what any kind's has whose objects are done in attempts: what the operator and the driver say of
it, each its own part.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from raygen.spec.schema.base import Index, MetricName, ObjectName, Reason, Spec, Time, Uri

Message = Annotated[str, Field(max_length=4096)]
Place = Annotated[str, Field(min_length=1, max_length=1280)]
"""Something in a run directory: an output's URI, and names below it."""
Number = float
"""Without bounds: the API server compares those of numbers that happen to be whole as 64-bit integers."""

MAX_ATTEMPTS = 20
"""Attempts that the status shows: the newest."""
PREPARATION = "Preparation"
"""The stage of an attempt that prepares data and does not train."""


class Condition(Spec):
    """One statement about the job, as the API conventions have it."""

    type: Reason
    """What it is about: Succeeded (the summary), Validated, Running, Suspended."""
    status: Literal["True", "False", "Unknown"]
    """Whether it is so."""
    observed_generation: Index | None = None
    """Generation of the job that this was said of."""
    last_transition_time: Time
    """When `status` changed last."""
    reason: Reason
    """Why, in one CamelCase word."""
    message: Message
    """Why, and what to do about it."""

    list_key: ClassVar[str | None] = "type"


class Trouble(Spec):
    """Something that befell the pods of an attempt, and may have interrupted or ended it."""

    reason: Reason
    """One CamelCase word."""
    message: Annotated[str, Field(max_length=1024)]
    """What happened and what to do."""
    time: Time | None = None
    """When it was seen."""


class Attempt(Spec):
    """One start of the job: one RayJob."""

    number: Annotated[int, Field(ge=1, le=1_000_000)]
    """Counts from 1."""
    ray_job: ObjectName
    """Name of its RayJob."""
    ray_cluster: ObjectName | None = None
    """Name of the RayCluster that has its pods."""
    started: Time
    """When the RayJob was made."""
    stopping: Time | None = None
    """Since when its RayJob has been gone while its pods still end."""
    ended: Time | None = None
    """When it had ended. Default: it has not."""
    stage: Literal["Preparation"] | None = None
    """Preparation: it prepared data, in pods of its own, and did not train. Default: it trained."""
    cause: Reason | None = None
    """Why it ended."""
    message: Annotated[str, Field(max_length=1024)] | None = None
    """The same in a sentence."""
    trouble: Trouble | None = None
    """What befell its pods while it ran."""
    driver_started: Time | None = None
    """Since when its driver has run, if it shares a RayCluster with other jobs; workers may still be missing."""
    first_step: Index | None = None
    """First step that it trained."""
    last_step: Index | None = None
    """Last step that it reported."""
    lost_steps: Index | None = None
    """Steps that the next attempt had to train again."""
    spec_hash: Annotated[str, Field(max_length=64)] | None = None
    """Digest of the spec that it was made from, of a kind that goes on with another one after its end."""
    workers: Index | None = None
    """Worker pods that it was given last, of a sweep with autoscaling. Default: those that it began with."""
    lost_heads: Index | None = None
    """How often its head pod was lost and another one went on. Default: never."""

    list_key: ClassVar[str | None] = "number"


class Driver(Spec):
    """The head pod, in which the driver runs; it alone may write `preparation`, `progress` and `outcome`."""

    pod_name: ObjectName
    """Its name."""
    pod_uid: Annotated[str, Field(min_length=1, max_length=64)]
    """Its UID."""
    node_name: ObjectName | None = None
    """Where it runs."""
    not_ready_since: Time | None = None
    """Since when it has not been ready. Default: it is."""


class Measurement(Spec):
    """A metric's newest value."""

    name: MetricName
    """Its name in `evaluation.metrics`."""
    value: Number
    """Its newest value."""
    step: Index
    """The step that it was measured at."""

    list_key: ClassVar[str | None] = "name"


class Progress(Spec):
    """How far the driver is; written by the driver, at most every ten seconds."""

    time: Time
    """When this was written."""
    attempt: Annotated[int, Field(ge=1, le=1_000_000)]
    """Attempt in the run directory; a head that came back begins one."""
    ray_job: ObjectName
    """The RayJob that the driver belongs to."""
    first_step: Index
    """First step of this attempt."""
    step: Index
    """Steps done."""
    steps: Index
    """Steps asked for."""
    loss: Number | None = None
    """Training loss of the newest step that was logged."""
    throughput: Number | None = None
    """Tokens of text, or images, per second, over the newest steps."""
    goodput: Annotated[float, Field(ge=0, le=1)] | None = None
    """Share of the attempt's time, start-up and recovery included, that was spent in training steps."""
    remaining_seconds: Index | None = None
    """Time that the rest will take, in seconds."""
    eta: Annotated[str, Field(max_length=32)] | None = None
    """The same for people: 1h12m."""
    checkpoint: Index | None = None
    """Step of the newest checkpoint."""
    metrics: Annotated[tuple[Measurement, ...], Field(max_length=32)] = ()
    """Newest values of the metrics."""
    samples: Place | None = None
    """Where the newest samples are."""
    recovery: Trouble | None = None
    """Why its workers are being started again: WorkersLost or PodLeaving. Default: they are not."""


class PreparationProgress(Spec):
    """How far the data is prepared; written by the driver, at most every ten seconds."""

    time: Time
    """When this was written."""
    ray_job: ObjectName
    """The RayJob that the driver belongs to."""
    doing: Annotated[str, Field(max_length=64)]
    """What is done at present: cleaning, encoding, or writing shards, in this order."""
    done: Index
    """Parts of it that are done, those of earlier attempts included."""
    parts: Index
    """All of its parts."""
    said: Annotated[str, Field(max_length=128)]
    """The same for people: cleaning, 12 of 40."""


class PreparedData(Spec):
    """A data set that is whole."""

    uri: Uri
    """Its folder, as the job has it."""
    fingerprint: Annotated[str, Field(max_length=128)] | None = None
    """SHA-256 that names what is in it, as the driver told it."""


class Outcome(Spec):
    """How the driver ended; written by the driver before it exits."""

    time: Time
    """When this was written."""
    ray_job: ObjectName
    """The RayJob that the driver belongs to."""
    state: Literal["Succeeded", "Stopped", "Failed"]
    """How it ended; Stopped can go on."""
    reason: Reason
    """Why: Completed, EarlyStopped, a signal, the class of an error, or the guard that stopped it."""
    message: Message
    """Why, in words."""
    remedy: Message | None = None
    """What to do about it."""
    exit_code: Annotated[int, Field(ge=0, le=255)]
    """Exit code of the driver: 0 done, 1 the run failed, 2 the input is wrong, 3 stopped and resumable, 4 trained but a gate failed."""
    step: Index | None = None
    """Steps done."""
    run: Place | None = None
    """The run directory."""
    prepared: PreparedData | None = None
    """The data set, of a driver that prepared it or found it whole."""


class AttemptedStatus(Spec):
    """What the operator says of an object that is done in attempts. What is not known, or does not apply, is left out."""

    conditions: Annotated[tuple[Condition, ...], Field(max_length=16)] = ()
    """Statements about it, by type."""
    observed_generation: Index | None = None
    """Its generation that the operator has seen."""
    start_time: Time | None = None
    """When it became active; set again after each suspension."""
    active_seconds: Index | None = None
    """How long it was active before `startTime`, in seconds."""
    completion_time: Time | None = None
    """When it ended for good."""
    attempts: Annotated[tuple[Attempt, ...], Field(max_length=MAX_ATTEMPTS)] = ()
    """The newest attempts."""
    attempt_count: Index | None = None
    """Number of attempts begun."""
    failed_attempts: Index | None = None
    """Number of attempts that count against `attempts.limit`."""
    driver: Driver | None = None
    """The head pod of the running attempt."""
    run: Place | None = None
    """Its directory: a run's, or a sweep's."""
    dashboard_url: Uri | None = None
    """Address of Ray's dashboard inside the cluster."""


class TrainingJobStatus(AttemptedStatus):
    """What the cluster knows of a job. The operator writes all of it but `preparation`, `progress` and `outcome`, which the
    driver writes. What is not known, or does not apply, is left out.
    """

    prepared: PreparedData | None = None
    """The data set that an attempt of this job has prepared, or found whole."""
    preparation: PreparationProgress | None = None
    """How far the data is prepared."""
    progress: Progress | None = None
    """How far the driver is."""
    outcome: Outcome | None = None
    """How the driver ended."""
