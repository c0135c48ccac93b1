"""A real S3 server on this machine's loopback, with a folder behind it."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import boto3
from testcluster.tools import binary

ACCESS_KEY = "CANARYKEYID00000"
SECRET_KEY = "canary-secret-that-must-not-be-seen"  # noqa: S105 (of the server in the tests)
BUCKET = "runs"
READY_SECONDS = 30


@dataclass(frozen=True)
class Server:
    """A server that runs.

    Attributes:
        port: On the loopback.
        folder: What is behind it: one folder for each bucket, one file for each object.
    """

    port: int
    folder: Path

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def environment(endpoint: str, **changes: str) -> dict[str, str]:
    """AWS's variables for this server, and nothing of the machine's own settings."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        **changes,
    }


def without_aws() -> dict[str, str]:
    """This process's environment without AWS's variables."""
    return {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[Server]:
    """Runs a server over `folder`, with the bucket `runs` in it."""
    objects, described = folder / "objects", folder / "described"
    (objects / BUCKET).mkdir(parents=True, exist_ok=True)
    described.mkdir(exist_ok=True)
    port = free_port()
    command = [binary("versitygw"), "--port", f"127.0.0.1:{port}", "--health", "/health", "--keep-alive"]
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(
            [*map(str, command), "--quiet", *options, "posix", "--sidecar", str(described), str(objects)],
            env={**without_aws(), "ROOT_ACCESS_KEY": ACCESS_KEY, "ROOT_SECRET_KEY": SECRET_KEY},
            stdout=log,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            wait_for(port, process)
            yield Server(port, objects)
        finally:
            process.kill()


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    """Until the server listens."""
    pause = threading.Event()
    for _ in range(READY_SECONDS * 50):
        assert process.poll() is None, f"the S3 server ended with {process.returncode}"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            pause.wait(0.02)
        else:
            return
    raise AssertionError("the S3 server does not listen")


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def client(settings: Mapping[str, str]) -> object:
    """A plain client, to see what is there without raygen."""
    return boto3.client(
        "s3",
        endpoint_url=settings["AWS_ENDPOINT_URL"],
        region_name=settings["AWS_REGION"],
        aws_access_key_id=settings["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=settings["AWS_SECRET_ACCESS_KEY"],
    )
