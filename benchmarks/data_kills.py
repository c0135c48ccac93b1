"""Kills what prepares data, and what streams it, at random moments, lets each go on, and compares bytes and batches.

    python benchmarks/data_kills.py

A calm preparation and a calm pass over its batches are the reference. Then a child of this process, which has imported all
that it needs, prepares the same sources until it is killed (SIGKILL) at a moment that is drawn, and another one goes on, until the data set
is there; again and again, until half of the kills are done. The other half befall a reader, which tells a digest of each batch, and
the next reader begins behind the last one that was told.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import select
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness import ROOT, write_result

from raygen.data.order_hash import OrderHash
from raygen.data.shards.dataset import PreparedData
from raygen.spec import ResolvedJob

sys.path.insert(0, str(ROOT))
from tests.prepared import digests, documents, prepared, text_job, write_lines

BATCH, EPOCHS, TEXTS, FILES = 8, 2, 200, 12
CLEANING = {"text": {"unicode": "NFC", "duplicates": {"type": "MinHash"}}}
CHILD_FAILED = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--kills", type=int, default=1000, help="half of them while preparing, half while reading"
    )
    parser.add_argument("--seed", type=int, default=0, help="of their moments")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    draw = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory(prefix="data-kills-") as name:
        base = Path(name)
        for number in range(FILES):
            write_lines(base / f"lines/{number:02}.jsonl", documents(TEXTS, seed=number % (FILES - 2)))
        job = text_job(data__cleaning=CLEANING)
        began = time.perf_counter()
        fingerprint = in_child(lambda told: told(prepared(job, base).index.fingerprint.encode()))[1].decode()
        longest = time.perf_counter() - began
        calm = digests(base / "prepared")
        document = {
            "seed": arguments.seed,
            "files": len(calm),
            "prepare": kill_preparing(job, base, calm, arguments.kills // 2, longest, draw),
            "stream": kill_reading(job, base, fingerprint, arguments.kills - arguments.kills // 2, draw),
        }
    write_result("data_kills", document, arguments.out)
    if document["prepare"]["different"] or document["stream"]["different"]:
        sys.exit("killed ones differ from the calm one")


def kill_preparing(
    job: ResolvedJob, base: Path, calm: dict[str, str], kills: int, longest: float, draw: random.Random
) -> dict[str, Any]:
    """Data sets that were made in spite of kills, and how many of them have other files than the calm one."""
    done, sets, different = 0, 0, 0
    while done < kills:
        shutil.rmtree(base / "prepared")
        most = draw.randint(1, 12)
        for _ in range(most):
            if done == kills:
                break
            killed, _ = in_child(
                lambda told: told(prepared(job, base).index.fingerprint.encode()), draw.uniform(0, longest)
            )
            done += killed
            if not killed:
                break
        in_child(lambda told: told(prepared(job, base).index.fingerprint.encode()))
        sets += 1
        different += digests(base / "prepared") != calm
        print(f"preparing: {done} of {kills} kills, {sets} data sets, {different} differ", flush=True)
    return {"kills": done, "data_sets": sets, "different": different}


def kill_reading(
    job: ResolvedJob, base: Path, fingerprint: str, kills: int, draw: random.Random
) -> dict[str, Any]:
    """Passes that were read in spite of kills, and how many of them have other batches, or another order, than the calm one."""
    began = time.perf_counter()
    calm = batches(in_child(lambda told: read(job, base, 0, told))[1])
    longest = time.perf_counter() - began
    order = order_of(job, base, fingerprint)
    done, passes, different = 0, 0, 0
    while done < kills:
        found: list[bytes] = []
        while len(found) < len(calm):
            start = len(found)
            limit = draw.uniform(0, longest) if done < kills else None
            killed, said = in_child(lambda told, start=start: read(job, base, start, told), limit)
            done += killed
            found += batches(said)
        passes += 1
        different += found != calm or order_of(job, base, fingerprint) != order
        print(f"reading: {done} of {kills} kills, {passes} passes, {different} differ", flush=True)
    return {"kills": done, "passes": passes, "batches": len(calm), "different": different}


def read(job: ResolvedJob, base: Path, start: int, told: Callable[[bytes], None]) -> None:
    """Tells a digest of each batch of some epochs, from one on."""
    data = PreparedData(job, base)
    for first in range(start * BATCH, EPOCHS * data.samples_per_epoch - BATCH + 1, BATCH):
        batch = data.train_batch(range(first, first + BATCH))
        content = b"".join(batch.arrays[name].tobytes() for name in sorted(batch.arrays))
        told(hashlib.sha256(content).digest())
    data.close()


def batches(said: bytes) -> list[bytes]:
    """Whole digests of what was told; of a kill in the middle of one the rest is left out."""
    size = hashlib.sha256().digest_size
    return [said[start : start + size] for start in range(0, len(said) - size + 1, size)]


def order_of(job: ResolvedJob, base: Path, fingerprint: str) -> str:
    """The hash of the order of all of these epochs."""

    def told(tell: Callable[[bytes], None]) -> None:
        data = PreparedData(job, base)
        total = OrderHash(fingerprint)
        total.extend(data.order, EPOCHS * data.samples_per_epoch)
        data.close()
        tell(total.hexdigest().encode())

    return in_child(told)[1].decode()


def in_child(
    work: Callable[[Callable[[bytes], None]], Any], seconds: float | None = None
) -> tuple[bool, bytes]:
    """Works in a forked process.

    Args:
        work: Told how to tell something.
        seconds: When it is killed, unless it ended before.

    Returns:
        Whether it was killed, and what it told.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            work(lambda content: _write(writing, content))
        except BaseException as error:  # noqa: BLE001 (of a forked process, which must not go on)
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(CHILD_FAILED)
        os._exit(0)
    os.close(writing)
    deadline = None if seconds is None else time.monotonic() + seconds
    said, killed = b"", False
    while True:
        left = None if deadline is None or killed else max(deadline - time.monotonic(), 0)
        if select.select([reading], [], [], left)[0]:
            content = os.read(reading, 1 << 16)
            if not content:
                break
            said += content
        if deadline is not None and not killed and time.monotonic() >= deadline:
            os.kill(child, signal.SIGKILL)
            killed = True
    os.close(reading)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code not in (0, -signal.SIGKILL):
        sys.exit(f"a child failed: {code}")
    return code != 0, said


def _write(descriptor: int, content: bytes) -> None:
    while content:
        content = content[os.write(descriptor, content) :]


if __name__ == "__main__":
    main()
