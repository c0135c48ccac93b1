"""What sets apart the kinds whose objects are done in attempts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from raygen.kube.bodies import Fields
from raygen.kube.resources import Resource
from raygen.operator.kind import Watch
from raygen.spec import Fault, TrainingJob
from raygen.spec.runtime import RaygenRuntime


@dataclass(frozen=True)
class Asked:
    """What a valid object asks for.

    Attributes:
        refusals: All that a runtime does not allow of it in a namespace, with a file of so many bytes.
        job: With a runtime, the job whose pods an attempt has: the object itself, or one that asks for as much.
    """

    refusals: Callable[[RaygenRuntime, str, int], list[Fault]]
    job: Callable[[RaygenRuntime], TrainingJob]


@dataclass(frozen=True, eq=False)
class Work:
    """A kind whose objects are done in attempts, each of which is a RayJob.

    Attributes:
        resource: The kind.
        own: Its objects, as they are watched.
        noun: What its users call one of its objects.
        read: What an object asks for, from the content of a file; raises ValidationError with every fault.
        directory: Where an object of this spec and name keeps what it makes.
        continues: From what an object goes on that was stopped, as a sentence says it.
        is_independent: Whether workers go on while one of them is away.
        reopens: Whether an object that has ended goes on once its spec is another one.
    """

    resource: Resource
    own: Watch
    noun: str
    read: Callable[[Fields], Asked]
    directory: Callable[[Fields, str], str]
    continues: str
    is_independent: bool = False
    reopens: bool = False
