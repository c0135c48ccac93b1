"""The words by which a job's status says why, with what they mean and what to do: for references and guides.

The operator writes conditions, and causes of attempts; the driver's own reasons are the names of its errors and guards.
"""

from __future__ import annotations

from dataclasses import dataclass

from raygen.spec.job.guards import GUARDS

NOTHING = "Nothing."


@dataclass(frozen=True)
class Meaning:
    """What a reason means.

    Attributes:
        text: What has happened, as sentences.
        remedy: What to do about it.
    """

    text: str
    remedy: str = NOTHING


DISRUPTED: dict[str, Meaning] = {
    "NodeLost": Meaning(
        "A pod's node is gone, or does not answer. The job goes on from its newest checkpoint.",
    ),
    "Preempted": Meaning(
        "A pod had to make room for one of a higher priority. The job goes on as soon as there is room."
    ),
    "Drained": Meaning(
        "A pod was evicted through the API, as by `kubectl drain`. The job goes on elsewhere."
    ),
    "Evicted": Meaning(
        "The kubelet evicted a pod, mostly because its node ran out of memory or disk. The job goes on.",
        "If it comes again: look at the node, or raise `scale.memoryPerWorker`, so that pods go to larger ones.",
    ),
}
"""Causes outside of the job; attempts that end by it do not count."""

OUT_OF_MEMORY = Meaning(
    "A pod was killed at its memory limit, which the message names.",
    "Raise `scale.memoryPerWorker`, or lower `training.microBatchSize`; for a pod that prepares data, raise"
    " `preparation.memoryPerWorker`; for a head pod have `head.memory` of the runtime raised.",
)

REFUSED: dict[str, Meaning] = {
    "Invalid": Meaning(
        "The job has faults that the API server's own rules cannot see.",
        "Fix what the message names, and apply it again.",
    ),
    "RuntimeNotFound": Meaning(
        "There is no RaygenRuntime of the name in `runtimeRef`.",
        "Name another one (`kubectl get rrt`), or have it made.",
    ),
    "RuntimeInvalid": Meaning("The RaygenRuntime has faults.", "Have the administrator fix it."),
    "NotAllowed": Meaning(
        "The runtime does not allow what the job asks for: its namespace, scale, time, queue, priority, custom"
        " code, or a URI; or its scheduler cannot do it.",
        "Ask for less, name another runtime, or have this one changed; the message names the field and the limit.",
    ),
}
"""Why Validated is False; the summary says the same. The job begins once it is fixed."""

WAITING: dict[str, Meaning] = {
    "Starting": Meaning(
        "The attempt's pods start, and then its driver, which reads the data and compiles the model."
    ),
    "PreparingData": Meaning(
        "The data is cleaned, tokenized or resized, and written to `preparation.uri`; `status.preparation` says how far. Pods of"
        " their own do it, which are gone before those that train are there."
    ),
    "Training": Meaning(
        "Steps are done; `progress` says how far. The message says so where the driver has told nothing for five minutes."
    ),
    "Recovering": Meaning(
        "The attempt has lost workers, or its head pod: no steps are done until they are there again. The message says what"
        " happened and since when. Training goes on from the newest checkpoint.",
        "Wait. If it lasts, look at the pods and nodes that the message names.",
    ),
    "Queued": Meaning(
        "The attempt waits in its Kueue queue for quota, or for Volcano, KAI or YuniKorn to have room for all its pods at"
        " once; without any of these, somebody has suspended its RayJob.",
        "Wait; `kubectl describe` of the queue's LocalQueue, or of the pods, shows what is before it. Where somebody has suspended the RayJob, set its `spec.suspend` to false.",
    ),
    "Stopping": Meaning("The attempt is being ended, with a checkpoint if there is time for one."),
    "Restarting": Meaning(
        "An attempt ended early, and the next one starts after a pause: 10 s, twice as long with each failure, at most 5 min.",
        "Read in the message why it ended.",
    ),
    "Suspended": Meaning("`suspend` is true.", "Set it to false, or submit the job again, and it goes on."),
    **REFUSED,
    "Unschedulable": Meaning(
        "No node has room for a pod.",
        "Wait, ask for less in `scale`, or have nodes added; the message says what is short.",
    ),
    "PodCrashes": Meaning(
        "A pod's container ends again and again; the message has its exit code.",
        "Read why in the log of its last life, by the command that the message gives.",
    ),
    "SchedulerMissing": Meaning(
        "The runtime names Volcano, KAI or YuniKorn, and KubeRay is not set up for it: the job starts without a queue, and"
        " its pods one by one.",
        "Have KubeRay installed with the `batchScheduler.name` that the message gives, or another scheduler in the runtime.",
    ),
    "KubeRayMissing": Meaning(
        "KubeRay has not looked at the RayJob for 30 s.",
        "Have the administrator see whether KubeRay runs and watches this namespace.",
    ),
    "SharedClusterMissing": Meaning(
        "The runtime sends jobs to a RayCluster of the namespace that is not there, or whose head pod does not say that it"
        " takes jobs.",
        "Have it made or labelled as the message says, or name another runtime; the job begins by itself then.",
    ),
    "QuotaExceeded": Meaning(
        "The namespace's ResourceQuota is used up.",
        "Wait for other jobs, lower `scale`, or have the quota raised.",
    ),
    "ImagePull": Meaning(
        "The runtime's image cannot be pulled.",
        "Have `image` and `imagePullSecrets` of the runtime checked.",
    ),
    "Configuration": Meaning(
        "Something that a pod's container needs is missing from the namespace, mostly a Secret.",
        "Make it; `environmentSecrets` of the runtime names the Secrets.",
    ),
    "LimitsMissing": Meaning(
        "The namespace's ResourceQuota or LimitRange wants a limit or request that the pods do not have, mostly of CPU.",
        "Have `cpuLimitRatio` of the runtime set, or a LimitRange give the namespace's containers a default.",
    ),
    "OutsideLimitRange": Meaning(
        "A LimitRange of the namespace refuses the pods: they ask for too much or too little, or their limit is too far above"
        " what they reserve.",
        "Ask for what it allows in `scale`, or have `head`, `defaults` or `cpuLimitRatio` of the runtime changed, or the LimitRange.",
    ),
    "SecurityRefused": Meaning(
        "Pod Security or, on OpenShift, the security context constraints refuse the pods.",
        "Have `runAs` of the runtime removed, so that the cluster assigns the IDs, or do what the message says.",
    ),
    "PodsRefused": Meaning(
        "The API server refuses the pods, as when the namespace has no service account for drivers.",
        "Make what the message names, or have the administrator look at namespace and runtime.",
    ),
    "PodsNotDeleted": Meaning(
        "KubeRay cannot delete pods that are to go, as a worker's that has failed.",
        "If it stays, have the administrator look at KubeRay's rights and at what refuses deletions, such as webhooks.",
    ),
    "PodWaits": Meaning(
        "A pod has waited for more than 20 s; the message is the newest warning Event about it, or says that a worker does"
        " not reach its head.",
        "Do what the message asks for; `kubectl describe pods` has more Events.",
    ),
    "NameTaken": Meaning(
        "There is a RayJob of the attempt's name that belongs to nobody or to an earlier job.",
        "Delete it, or give the job another name. One of a job that was deleted goes by itself in a moment.",
    ),
    "CreateRefused": Meaning(
        "The API server refuses the RayJob, as when a policy or a quota of the cluster is against it.",
        "Show the message to the administrator.",
    ),
    "OperatorFault": Meaning(
        "An internal error of the operator keeps this job from being looked after; it tries again now and then.",
        "Report it with the operator's log, or recreate the job.",
    ),
    "OutOfMemory": OUT_OF_MEMORY,
    **DISRUPTED,
}
"""Reasons of the summary while it is Unknown: the job has not ended."""

SUCCEEDED: dict[str, Meaning] = {
    "Completed": Meaning("All steps are done."),
    "EarlyStopped": Meaning("`training.earlyStopping` ended it: the metric no longer got better."),
    "AlreadyComplete": Meaning(
        "The run directory holds a run of this job that has all its steps; nothing was trained.",
        "To train again, give another `output.run`.",
    ),
    "BudgetUsedUp": Meaning(
        "A sweep has used what `budget` allows.", "To go on, raise it: the sweep knows all that it has tried."
    ),
    "SpaceExhausted": Meaning("A sweep has tried all values that its parameters have."),
    "PopulationTrained": Meaning("All members of a sweep's population are trained to their end."),
}
"""Reasons of the summary when it is True."""

STOPPED_BY_GUARD = Meaning(
    "This guard of `training.guards` stopped the run.",
    "Read the message, which has the step; change the model or its training, or the guard's limits or action.",
)

FINAL: dict[str, Meaning] = {
    "DeadlineExceeded": Meaning(
        "The job was active for as long as `activeDeadlineSeconds` or the runtime allows.",
        "Delete it, and apply it again with a longer time; it goes on from its newest checkpoint.",
    ),
    "DataError": Meaning(
        "Data is missing, empty, unreadable, or does not fit the model.",
        "Fix what the message names.",
    ),
    "DamagedError": Meaning(
        "A file of the data is cut off, damaged, or not what its format says.",
        "Repair or remove the file that the message names; prepared data sets broken records aside.",
    ),
    "OutputError": Meaning(
        "The output cannot be written, is full, or belongs to another job.",
        "Check the storage and its Secret, or give another `output.run`.",
    ),
    "InputError": Meaning("The job cannot run as it is.", "Fix what the message names."),
    "JobFileError": Meaning("The driver cannot read the job.", "Have image and operator of one version."),
    "ValidationError": Meaning(
        "The driver finds faults in the job that the operator does not know.",
        "Fix what the message names, and have image and operator of one version.",
    ),
    "MissingExtraError": Meaning(
        "The image lacks an optional package.", "Have it built with the extra that the message names."
    ),
    "InputWrong": Meaning(
        "The driver ended with exit code 2, for wrong input, and could not write why into the status.",
        "Read its log, and fix what it names.",
    ),
    "ModelError": Meaning(
        "A model of your own raised an error, or broke the protocol.",
        "Fix its code; the message has the place.",
    ),
    "GateFailed": Meaning(
        "The run is trained to its end, and a metric does not pass its gate in `evaluation.gates`; the message has value and bound.",
        "Train longer or otherwise; or change the gate in a new job of the same `output.run`, which trains nothing twice.",
    ),
    **dict.fromkeys(GUARDS, STOPPED_BY_GUARD),
    "TrialsFailedError": Meaning(
        "More trials of a sweep have failed than `failedTrials` allows, or all of them.",
        "Read the causes in its report, and fix them; with a larger `failedTrials` or budget the sweep goes on.",
    ),
    "RayJobRefused": Meaning("KubeRay refuses the RayJob, which is raygen's fault.", "Report it."),
}
"""Why a job failed, or ended, at its first occurrence: another attempt would end the same way."""

COUNTED: dict[str, Meaning] = {
    "OutOfMemory": OUT_OF_MEMORY,
    "OutOfMemoryError": Meaning(
        "The job does not fit into a device's memory.",
        "Lower `training.microBatchSize`, or the model's size.",
    ),
    "CommunicationTimeout": Meaning(
        "Workers did not reach each other, or one of them hung.",
        "Check NetworkPolicies, and `NCCL_SOCKET_IFNAME` in `environment` of the runtime.",
    ),
    "HeadLost": Meaning(
        "The head pod was not ready, or did not answer, for `headLostSeconds` of the runtime.",
        "Look at its node, which the message names.",
    ),
    "DriverFailed": Meaning(
        "The driver ended with an error that it could not write into the status.",
        "Read its log and outcome.json in the run directory.",
    ),
    "DriverUnplaced": Meaning(
        "The head of the shared RayCluster had no place for the job's driver for as long as Ray waits.",
        "Have `cluster.maxJobs` of the chart raised, with memory for it, or Ray's resource `raygen_driver` of its head.",
    ),
    "DriverLost": Meaning(
        "The driver exited without reporting an outcome, for example because its pod was killed.",
        "Look at the Events of pods and nodes.",
    ),
    "RunError": Meaning(
        "Training failed, mostly because workers were lost.", "Read the message and the driver's log."
    ),
    "ObjectiveTimeoutError": Meaning(
        "A function that judges a trial took longer than its `timeoutSeconds`. The trial has failed, and its sweep goes on.",
        "Make the function faster, or give it more time in a sweep of another name.",
    ),
    "CheckpointError": Meaning(
        "A checkpoint is torn, altered, or does not fit the model.",
        "Do what the message says; the storage may have lost something.",
    ),
    "FencedError": Meaning(
        "Another attempt, perhaps of another job, has taken over the run directory.",
        "See to it that one job alone has this `output.run`.",
    ),
}
"""Causes of attempts that count against `attempts.limit`; the last one is the reason of the job's failure."""

UNCOUNTED: dict[str, Meaning] = {
    "Prepared": Meaning("The data is prepared; the next attempt trains from it."),
    "Suspended": Meaning("`suspend` became true."),
    "SpecChanged": Meaning("The job was changed, and goes on with the change."),
    "RayJobDeleted": Meaning("Somebody deleted the RayJob; the next attempt goes on."),
    "Stopped": Meaning("The driver was asked to stop, by a signal or Ray, and left a checkpoint."),
    **DISRUPTED,
}
"""Causes of attempts that do not count; another attempt follows."""


@dataclass(frozen=True)
class Kind:
    """A type of condition.

    Attributes:
        text: What it says.
        reasons: Its reasons.
    """

    text: str
    reasons: tuple[str, ...]


CONDITIONS: dict[str, Kind] = {
    "Succeeded": Kind(
        "The summary. True: the job has ended well; False: it has failed; both are final. Unknown: neither yet, and"
        " the reason is the stage that it is at or what it waits for.",
        tuple(dict.fromkeys((*WAITING, *SUCCEEDED, *FINAL, *COUNTED))),
    ),
    "Running": Kind(
        "True while steps are done.",
        ("Training", "NotTraining", "Suspended", "Finished"),
    ),
    "Suspended": Kind(
        "There once `suspend` was true. True: all that the job had is given back. False: it is still giving it back"
        " (Suspending), or goes on (Resumed).",
        ("Suspended", "Suspending", "Resumed"),
    ),
    "Validated": Kind(
        "Whether job and runtime are sound and fit each other, as of the newest attempt.",
        ("Valid", *REFUSED),
    ),
}
"""The conditions of a job, by type, in the order in which the status has them."""
