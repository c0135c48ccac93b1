"""A proxy between client and S3 server that does harm as a script says, request by request.

It reads each request and each answer whole, so a fault happens at a place that is the same every time:
before the server sees the request, or after it has taken effect.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.integration.s3.server import ACCESS_KEY, SECRET_KEY

FAULTS = ("cut before", "cut after", "truncated", "delayed", "500", "503", "500 after")
SLOW_DOWN = b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Reduce your rate.</Message></Error>"
DENIED = b"<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>No.</Message></Error>"
INTERNAL = b"<?xml version='1.0'?><Error><Code>InternalError</Code><Message>Again.</Message></Error>"
FULL = b"<?xml version='1.0'?><Error><Code>QuotaExceeded</Code><Message>No more.</Message></Error>"
ANSWERS = {"403": DENIED, "500": INTERNAL, "503": SLOW_DOWN, "507": FULL}
DELAY_SECONDS = 0.05
UNSIGNED = frozenset({"authorization", "x-amz-date", "if-none-match", "host", "content-length"})

Script = Callable[["Request"], str]
"""What happens to a request: one of FAULTS, '403', '507', 'black hole', 'without conditions', or '' for nothing."""


@dataclass(frozen=True)
class Request:
    """A request as a script sees it: its number from 0, method, and target with the query."""

    number: int
    method: str
    target: str


@dataclass
class Proxy:
    """A proxy that runs.

    Attributes:
        port: On the loopback.
        script: May be replaced at any time.
        seen: Every request, with what happened to it.
    """

    server_port: int
    script: Script = lambda request: ""
    port: int = 0
    seen: list[tuple[Request, str]] = field(default_factory=list)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while await self._one(reader, writer):
                pass
        writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its answer; gives whether the connection lives on."""
        head = await reader.readuntil(b"\r\n\r\n")
        line, lower = head.split(b"\r\n", 1)[0].decode(), head.lower()
        if b"expect: 100-continue" in lower:
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            await writer.drain()
            head = b"\r\n".join(h for h in head.split(b"\r\n") if not h.lower().startswith(b"expect:"))
        body = await reader.readexactly(_length(lower))
        method, target, _ = line.split(" ")
        request = Request(len(self.seen), method, target)
        fault = self.script(request)
        self.seen.append((request, fault))
        if fault == "cut before":
            return False
        if fault == "black hole":
            await reader.read()
            return False
        if fault in ANSWERS:
            await _answer(writer, fault, ANSWERS[fault], method)
            return True
        if fault == "delayed":
            await asyncio.sleep(DELAY_SECONDS)
        if fault == "without conditions":
            head = _without_conditions(head, body)
        answer, content = await self._forward(head, body, method)
        if fault == "cut after":
            return False
        if fault == "500 after":
            await _answer(writer, "500", INTERNAL, method)
            return True
        if fault == "truncated":
            writer.write(answer + content[: len(content) // 2])
            await writer.drain()
            return False
        writer.write(answer + content)
        await writer.drain()
        return True

    async def _forward(self, head: bytes, body: bytes, method: str) -> tuple[bytes, bytes]:
        """The server's answer to one request, on a connection of its own."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server_port, limit=1 << 20)
        try:
            writer.write(head + body)
            await writer.drain()
            answer = await reader.readuntil(b"\r\n\r\n")
            while answer.startswith(b"HTTP/1.1 100"):
                answer = await reader.readuntil(b"\r\n\r\n")
            lower = answer.lower()
            status = answer.split(b" ", 2)[1]
            if method == "HEAD" or status in (b"204", b"304"):
                return answer, b""
            if b"transfer-encoding: chunked" in lower:
                return answer, await _chunked(reader)
            return answer, await reader.readexactly(_length(lower))
        finally:
            writer.close()


def _without_conditions(head: bytes, body: bytes) -> bytes:
    """The request as a server takes it that passes over If-None-Match; signed anew, since that was signed too."""
    line, *lines = head.decode().rstrip().split("\r\n")
    method, target, _ = line.split(" ")
    headers = dict(one.split(": ", 1) for one in lines)
    kept = {name: value for name, value in headers.items() if name.lower() not in UNSIGNED}
    request = AWSRequest(method, f"http://{headers['Host']}{target}", kept, body)
    S3SigV4Auth(Credentials(ACCESS_KEY, SECRET_KEY), "s3", "us-east-1").add_auth(request)
    signed = {"Host": headers["Host"], "Content-Length": str(len(body)), **dict(request.headers.items())}
    return "\r\n".join([line, *(f"{name}: {value}" for name, value in signed.items()), "", ""]).encode()


async def _chunked(reader: asyncio.StreamReader) -> bytes:
    content = b""
    while True:
        size = await reader.readuntil(b"\r\n")
        piece = await reader.readexactly(int(size.split(b";")[0], 16) + 2)
        content += size + piece
        if piece == b"\r\n":
            return content


async def _answer(writer: asyncio.StreamWriter, status: str, body: bytes, method: str) -> None:
    head = f"HTTP/1.1 {status} Fault\r\ncontent-type: application/xml\r\ncontent-length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + (b"" if method == "HEAD" else body))
    await writer.drain()


def _length(lower: bytes) -> int:
    for line in lower.split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


@contextmanager
def between(server_port: int) -> Iterator[Proxy]:
    """A proxy before the server, in a thread of its own."""
    proxy = Proxy(server_port)
    ready, loop = threading.Event(), asyncio.new_event_loop()

    async def run() -> None:
        server = await asyncio.start_server(proxy.handle, "127.0.0.1", 0, limit=1 << 20)
        proxy.port = server.sockets[0].getsockname()[1]
        ready.set()
        with suppress(asyncio.CancelledError):
            await server.serve_forever()

    def work() -> None:
        with suppress(asyncio.CancelledError):
            loop.run_until_complete(main)
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()

    main = loop.create_task(run())
    thread = threading.Thread(target=work, name="proxy", daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield proxy
    finally:
        loop.call_soon_threadsafe(main.cancel)
        thread.join(10)


def scripted(faults: list[str]) -> Script:
    """Request n gets fault n; after the last one nothing more happens."""
    waiting = iter(faults)
    guard = threading.Lock()

    def script(request: Request) -> str:
        with guard:
            return next(waiting, "")

    return script


def drawn(seed: int, share: float) -> Script:
    """A share of all requests gets a fault that the seed draws."""
    generator = random.Random(seed)

    def script(request: Request) -> str:
        return generator.choice(FAULTS) if generator.random() < share else ""

    return script
