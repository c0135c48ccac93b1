"""What the tests of the checklist share: objects as tenants and administrators would send them, and what is answered."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from raygen.controller.conditions import find
from raygen.kube import EVENTS, RUNTIMES, TRAINING_JOBS, ApiError, Connection, Resource
from raygen.operator.kinds import KINDS
from raygen.operator.process import Operator, Settings
from raygen.spec.schema.base import Spec
from raygen.spec.schema.fields import Shape, fields_of
from tests.cluster.apiserver import NAMESPACES
from tests.cluster.operator.stub import Surroundings
from tests.unit.operator.attempts.world import job, runtime

Object = dict[str, Any]
Path = tuple[str | int, ...]


def job_of(team: str, name: str = "tiny", **changes: Any) -> Object:
    """A job that its namespace may run with a runtime that allows it. `changes` as in tests.jobs."""
    document = job(name, **{"output": {"uri": f"s3://runs/{team}/"}, **changes})
    document["metadata"] = {"name": name, "namespace": team}
    return document


def runtime_of(name: str, **changes: Any) -> Object:
    """A runtime as an administrator would write it; it allows all namespaces."""
    document = runtime(**{"allowedNamespaces": ["*"], **changes})
    return document | {
        "apiVersion": RUNTIMES.api_version,
        "kind": RUNTIMES.kind,
        "metadata": {"name": name},
    }


def put(admin: Connection, document: Object) -> None:
    """Makes a runtime, or makes it what it should be."""
    admin.apply(RUNTIMES, "", document["metadata"]["name"], document, manager="tests")


def refused(
    connection: Connection,
    document: Object,
    *,
    validation: str = "Strict",
    resource: Resource = TRAINING_JOBS,
) -> ApiError | None:
    """Why an object is refused, if it is; nothing is made. Strict is what kubectl and `raygen submit` ask for."""
    path = resource.path(document["metadata"].get("namespace", ""))
    query = {"dryRun": "All", "fieldValidation": validation}
    try:
        connection.request("POST", path, query=query, body=document)
    except ApiError as error:
        return error
    return None


def says(error: ApiError | None, *words: str) -> bool:
    """Whether something is refused, in words that have all of these in them."""
    assert error is not None, "it is not refused"
    missing = [word for word in words if word not in error.what]
    assert not missing, f"{missing} not in: {error.what}"
    return True


def condition(world: Surroundings, kind: str) -> Object:
    """A condition of the job; empty while there is none."""
    return find(world.job().get("status", {}).get("conditions", []), kind) or {}


def warnings(world: Surroundings) -> list[Object]:
    """The warnings about the job."""
    query = {"fieldSelector": f"involvedObject.uid={world.job()['metadata']['uid']},type=Warning"}
    found, _ = world.admin.list(EVENTS, world.namespace, **query)
    return found


def namespace(admin: Connection, name: str) -> str:
    """A new namespace."""
    admin.create(NAMESPACES, "", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    return name


@contextmanager
def working(connection: Connection, team: str) -> Iterator[Operator]:
    """An operator with all its threads, as the process has it."""
    operator = Operator(connection, KINDS, Settings(namespaces=(team,), health_port=0, watch_seconds=5.0))
    thread = threading.Thread(target=operator.run, daemon=True)
    thread.start()
    try:
        yield operator
        assert thread.is_alive(), "the operator has ended"
    finally:
        operator.stop()
        thread.join(30)


def places(model: type[Spec], path: Path = ()) -> Iterator[tuple[Path, Shape]]:
    """Every object, map and value that a model can hold, the first of each list."""
    for key, field in fields_of(model).items():
        shape, here = field.shape, (*path, key)
        if shape.kind == "list" and shape.items is not None:
            yield here, shape
            shape, here = shape.items, (*here, 0)
        yield here, shape
        if shape.model is not None:
            yield from places(shape.model, here)


def set_at(document: Any, path: Path, value: Any) -> None:
    """Sets a value, and makes what is missing on the way to it."""
    for key, after in itertools.pairwise(path):
        if isinstance(key, int):
            if not document:
                document.append({})
            document = document[key]
        else:
            document = document.setdefault(key, [] if isinstance(after, int) else {})
    if isinstance(document, list):
        document[path[-1] :] = [value]
    else:
        document[path[-1]] = value


def get_at(document: Any, path: Path) -> Any:
    """The value at a path, or None."""
    for key in path:
        try:
            document = document[key]
        except (KeyError, IndexError, TypeError):
            return None
    return document
