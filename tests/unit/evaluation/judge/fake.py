"""An endpoint that speaks the chat completions protocol, replies by a script and fails by a plan; and a clock that does not wait."""

from __future__ import annotations

import hashlib
import json
import os
import re
import select
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from raygen.evaluation.judge import Case, Endpoint, Prices

ROOT = Path(__file__).resolve().parents[4]
Body = dict[str, Any]
FAULTS = ("limited", "failed", "dropped", "cut", "not whole", "slow")
KEY = "canary-of-nobody"


class VirtualClock:
    """Seconds that pass only when somebody waits for them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now = 0.0
        self.waits: list[float] = []

    def now(self) -> float:
        with self._lock:
            return self._now

    def wait_until(self, moment: float, stop: threading.Event) -> None:
        with self._lock:
            self.waits.append(max(moment - self._now, 0.0))
            self._now = max(self._now, moment)


def score_of(user: str) -> int:
    """The score of the fake judge: from 1 to 5, by a hash of what it was asked."""
    return hashlib.sha256(user.encode()).digest()[0] % 5 + 1


def reply(score: object) -> str:
    return json.dumps({"score": score, "explanation": "Because of its words."})


def by_hash(body: Body, number: int) -> str:
    return reply(score_of(body["messages"][1]["content"]))


class FakeEndpoint:
    """What the endpoint does and has seen.

    Attributes:
        reply: The judge's text, given a request's body and how often its messages were asked before; or a whole choice;
            or a status with a body and headers.
        fault: One of `FAULTS`, or none, given the same.
        usage: Tokens of prompt and reply that it counts; None for an endpoint that does not.
        bodies: Of all requests, in order.
        whole: How many whole answers each user message has had.
        faults: How often each fault came.
        keys: What stood in the header Authorization.
    """

    def __init__(self) -> None:
        self.reply: Callable[[Body, int], str | Body | tuple[int, Body, dict[str, str]]] = by_hash
        self.fault: Callable[[Body, int], str] = lambda body, number: ""
        self.usage: tuple[int, int] | None = (700, 20)
        self.bodies: list[Body] = []
        self.whole: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.keys: set[str | None] = set()
        self.headers: list[dict[str, str]] = []
        self.url = ""
        self.lock = threading.Lock()
        self._asked: Counter[str] = Counter()

    def endpoint(self, prices: Prices | None = None, timeout_s: float = 20.0) -> Endpoint:
        return Endpoint("fake", self.url, "JUDGE_TEST_KEY", timeout_s, prices or Prices())

    def number(self, body: Body) -> int:
        key = json.dumps(body["messages"])
        with self.lock:
            self._asked[key] += 1
            return self._asked[key] - 1


def planned(share: float) -> Callable[[Body, int], str]:
    """Faults for a share of requests, the same ones whatever the order in which threads send them."""

    def fault(body: Body, number: int) -> str:
        digest = hashlib.sha256(json.dumps([body["messages"], number]).encode()).digest()
        drawn = int.from_bytes(digest[:4]) / 2**32
        return FAULTS[digest[4] % len(FAULTS)] if drawn < share else ""

    return fault


class Handler(BaseHTTPRequestHandler):
    fake: FakeEndpoint
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        number = self.fake.number(body)
        with self.fake.lock:
            self.fake.bodies.append(body)
            self.fake.keys.add(self.headers["Authorization"])
            self.fake.headers.append(dict(self.headers))
        fault = self.fake.fault(body, number)
        if fault:
            with self.fake.lock:
                self.fake.faults[fault] += 1
        answer = self.fake.reply(body, number)
        if isinstance(answer, tuple):
            self._send(*answer)
        elif not self._failed(fault):
            content = json.dumps(completion(answer, self.fake.usage)).encode()
            if fault == "cut":
                self._send_bytes(200, content[: len(content) // 2], {}, length=len(content))
                self.close_connection = True
            elif fault == "not whole":
                self._send_bytes(200, content[: len(content) // 2], {})
            else:
                self._send_bytes(200, content, {})
                with self.fake.lock:
                    self.fake.whole[body["messages"][1]["content"]] += 1

    def _failed(self, fault: str) -> bool:
        if fault == "limited":
            self._send(429, {"error": {"message": "slower", "code": "rate_limit"}}, {"Retry-After": "2"})
        elif fault == "failed":
            self._send(500, {"error": {"message": "failed"}}, {})
        elif fault == "slow":
            # Until the client hangs up.
            select.select([self.connection], [], [], 60)
        if fault in ("slow", "dropped"):
            self.close_connection = True
        return fault in ("limited", "failed", "slow", "dropped")

    def _send(self, status: int, document: Body, headers: dict[str, str]) -> None:
        self._send_bytes(status, json.dumps(document).encode(), headers)

    def _send_bytes(
        self, status: int, content: bytes, headers: dict[str, str], length: int | None = None
    ) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
        pass


@contextmanager
def serving(fake: FakeEndpoint) -> Iterator[FakeEndpoint]:
    handler = type("FakeHandler", (Handler,), {"fake": fake})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    fake.url = f"http://127.0.0.1:{server.server_port}/v1"
    try:
        yield fake
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def completion(answer: str | Body, usage: tuple[int, int] | None) -> Body:
    choice = answer if isinstance(answer, dict) else {"message": {"content": answer}, "finish_reason": "stop"}
    document: Body = {"id": "1", "object": "chat.completion", "choices": [{"index": 0, **choice}]}
    if usage is not None:
        document["usage"] = {"prompt_tokens": usage[0], "completion_tokens": usage[1]}
    return document


def with_probabilities(tokens: list[tuple[str, list[tuple[str, float]]]]) -> Body:
    """A choice whose tokens have alternatives with logarithms of their probabilities."""
    content = [
        {
            "token": token,
            "logprob": dict(alternatives).get(token, 0.0),
            "top_logprobs": [{"token": text, "logprob": value} for text, value in alternatives],
        }
        for token, alternatives in tokens
    ]
    text = "".join(token for token, _ in tokens)
    return {"message": {"content": text}, "finish_reason": "stop", "logprobs": {"content": content}}


def cases(count: int) -> list[Case]:
    return [Case(f"What is {number}?", f"{number} is a number.") for number in range(count)]


def environment() -> dict[str, str]:
    """For programs that use this checkout."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}


def outside_fences(user: str) -> str:
    """What remains of a user message without its fenced texts."""
    return re.sub(r"<<<([A-Z ]+) ([0-9a-f]+)>>>\n.*?\n<<<END \1 \2>>>", "", user, flags=re.DOTALL)
