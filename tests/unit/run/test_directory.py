from __future__ import annotations

import errno
import itertools
import json
import math
import multiprocessing
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.errors import FencedError, InputError, OutputError
from raygen.run.directory import AttemptRecord, RunDirectory
from raygen.run.measurements import Line, MetricsWriter, merge
from raygen.storage import AlreadyExistsError, LocalStorage


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return RunDirectory(LocalStorage(tmp_path / "runs"), "shakespeare")


def keys(run: RunDirectory) -> list[str]:
    return [entry.key for entry in run.storage.list()]


def full(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("name", ["", "..", "a/b", "/x", "a\0"])
def test_a_run_name_is_one_segment(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError):
        RunDirectory(LocalStorage(tmp_path), name)


def test_the_job_is_created_once(run: RunDirectory) -> None:
    assert run.read_job() is None
    run.create_job({"name": "é\ud800", "rate": 1e-3})
    with pytest.raises(AlreadyExistsError):
        run.create_job({"name": "another"})
    assert run.read_job() == {"name": "é\ud800", "rate": 1e-3}
    run.replace_job({"name": "longer"})
    assert run.read_job() == {"name": "longer"}
    assert keys(run) == ["job.json"]


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\x80\x04", b"[" * 100_000])
def test_a_damaged_job_is_reported_and_left(run: RunDirectory, data: bytes) -> None:
    run.storage.write("job.json", data)
    with pytest.raises(OutputError, match=r"job\.json") as caught:
        run.read_job()
    assert caught.value.remedy
    assert run.storage.read("job.json") == data


def test_an_outcome_is_replaced_and_is_valid_json(run: RunDirectory) -> None:
    assert run.read_outcome() is None
    run.write_outcome(
        {"state": "Failed", "loss": math.nan, "best": {"loss": math.inf}, "list": (1.5, -math.inf)}
    )
    text = run.storage.read("outcome.json")
    assert json.loads(text, parse_constant=pytest.fail)["loss"] is None
    run.write_outcome({"state": "Succeeded"})
    assert run.read_outcome() == {"state": "Succeeded"}


def test_probe_leaves_nothing(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    run.probe()
    assert keys(run) == []
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="full"):
        run.probe()
    assert keys(run) == []


def test_attempts_are_numbered_and_remember(run: RunDirectory) -> None:
    first = run.claim()
    first.ready({"model": 0.25})
    first.end("Stopped", 70)
    second = run.claim(resumed_from=50)
    assert (first.number, second.number) == (1, 2)
    assert keys(run) == ["attempts/001.json", "attempts/002.json"]
    old, new = run.attempts()
    assert (old.resumed_from, old.cause, old.last_step) == (None, "Stopped", 70)
    assert old.startup == {"model": 0.25}
    assert old.ended is not None
    assert (new.resumed_from, new.cause, new.ended) == (50, None, None)
    assert new.process == os.getpid()
    assert new.host
    assert new.started
    assert new.raygen


def test_numbers_go_on_after_the_greatest(run: RunDirectory) -> None:
    for name in ("007.json", "notes.txt", "1.json", "999.json"):
        run.storage.write(f"attempts/{name}", b"")
    assert run.claim().number == 1000
    assert run.claim().number == 1001
    assert [a.number for a in run.attempts()] == [7, 999, 1000, 1001]


def test_an_older_attempt_is_fenced(run: RunDirectory) -> None:
    first = run.claim()
    first.check()
    second = run.claim()
    second.check()
    with pytest.raises(FencedError, match="attempt 2 has taken over") as caught:
        first.check()
    assert caught.value.remedy
    first.end("Fenced", 3)
    second.check()
    assert run.attempts()[1].cause is None


def _claim(root: str, barrier: Any, results: Any) -> None:
    barrier.wait()
    results.put(RunDirectory(LocalStorage(Path(root)), "raced").claim().number)


def test_eight_processes_claim_eight_numbers(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(8), context.Queue()
    racers = [context.Process(target=_claim, args=(str(tmp_path), barrier, results)) for _ in range(8)]
    for racer in racers:
        racer.start()
    numbers = sorted(results.get(timeout=60) for _ in racers)
    for racer in racers:
        racer.join()
    assert numbers == list(range(1, 9))
    records = RunDirectory(LocalStorage(tmp_path), "raced").attempts()
    assert len({record.process for record in records}) == 8


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"unknown": 1}'])
def test_a_damaged_attempt_still_counts(run: RunDirectory, data: bytes) -> None:
    run.storage.write("attempts/001.json", data)
    assert run.attempts() == [AttemptRecord(1)]
    assert run.claim().number == 2


def writer(run: RunDirectory, attempt: int) -> MetricsWriter:
    return MetricsWriter(run.storage, attempt, clock=itertools.count(1000.0).__next__)


def test_metrics_round_trip_bit_for_bit(run: RunDirectory) -> None:
    w = writer(run, 3)
    values = {"loss": 0.1 + 0.2, "tokens": 2**60, "bad": math.inf, "worse": -math.inf}
    w.append("train", 1, values)
    assert keys(run) == []
    w.flush()
    w.flush()
    w.append("evaluation", 1, {"loss": math.nan})
    w.flush()
    assert keys(run) == ["metrics/003-00001.jsonl", "metrics/003-00002.jsonl"]
    evaluation, train = run.read_metrics().lines
    assert train == Line(1, "train", 3, 1000.0, values)
    assert math.isnan(evaluation.values["loss"])
    for line in run.storage.read("metrics/003-00001.jsonl").splitlines():
        assert json.loads(line, parse_constant=pytest.fail)["attempt"] == 3


def test_segments_are_read_by_number(run: RunDirectory) -> None:
    w = writer(run, 1)
    for step in range(1, 4):
        w.append("train", 5, {"loss": float(step)})
        w.flush()
    run.storage.write("metrics/notes.txt", b"x")
    [line] = run.read_metrics().lines
    assert line.values == {"loss": 3.0}


def test_a_failed_flush_loses_no_line(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    w = writer(run, 1)
    w.append("train", 1, {"loss": 1.0})
    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", full)
        with pytest.raises(OutputError, match="full"):
            w.flush()
    w.append("train", 2, {"loss": 2.0})
    w.flush()
    assert [line.step for line in run.read_metrics().lines] == [1, 2]


def test_threads_may_append_and_flush_together(run: RunDirectory) -> None:
    w = writer(run, 1)

    def work(first: int) -> None:
        for step in range(first, first + 50):
            w.append("train", step, {"x": step})
            if step % 10 == 0:
                w.flush()

    threads = [threading.Thread(target=work, args=(1000 * i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    w.flush()
    expected = sorted(s for i in range(4) for s in range(1000 * i, 1000 * i + 50))
    assert [line.step for line in run.read_metrics().lines] == expected


@pytest.mark.parametrize(
    "damage",
    [b'{"step": 1', b"", b"\xff\xfe", b"null", b'{"attempt": 9, "step": 1, "kind": "t", "time": 0, "values": {}}',
     b'{"attempt": 1, "step": 1, "kind": "t", "time": 0, "values": {"x": "what"}}',
     b'{"attempt": 1, "step": 1, "kind": "t", "time": 0, "values": {"x": [1]}}'],
)  # fmt: skip
def test_a_damaged_line_is_reported_and_left_out(run: RunDirectory, damage: bytes) -> None:
    w = writer(run, 1)
    for step in (1, 2):
        w.append("train", step, {"loss": 1.0})
    w.flush()
    first, second = run.storage.read("metrics/001-00001.jsonl").splitlines()
    run.storage.write("metrics/001-00001.jsonl", first + b"\n" + damage + b"\n" + second + b"\n")
    metrics = run.read_metrics()
    assert [line.step for line in metrics.lines] == [1, 2]
    assert metrics.damaged == ("metrics/001-00001.jsonl, line 2, is damaged and was left out.",)


def line(step: int, attempt: int, kind: str = "train") -> Line:
    return Line(step, kind, attempt, 0.0, {})


def test_a_resumed_run_reads_as_one_course(run: RunDirectory) -> None:
    first = run.claim(resumed_from=0)
    w = run.metrics_writer(first)
    for step in range(1, 8):
        w.append("train", step, {"loss": 10.0 + step})
    w.append("evaluation", 5, {"loss": 1.0})
    w.append("evaluation", 7, {"loss": 1.0})
    w.flush()
    second = run.claim(resumed_from=5)
    w = run.metrics_writer(second)
    w.append("train", 6, {"loss": 20.0})
    w.flush()
    found = [(m.step, m.kind, m.attempt) for m in run.read_metrics().lines]
    assert found == [
        (1, "train", 1),
        (2, "train", 1),
        (3, "train", 1),
        (4, "train", 1),
        (5, "evaluation", 1),
        (5, "train", 1),
        (6, "train", 2),
    ]


def test_an_attempt_that_never_resumed_takes_nothing_back() -> None:
    lines = [line(1, 1), line(2, 1)]
    assert merge(lines, [AttemptRecord(1, resumed_from=0), AttemptRecord(2)]) == lines


def test_a_fresh_start_takes_everything_back() -> None:
    assert merge([line(1, 1), line(1, 2)], [AttemptRecord(2, resumed_from=0)]) == [line(1, 2)]


def test_later_attempts_count_even_through_one_between() -> None:
    records = [
        AttemptRecord(1, resumed_from=0),
        AttemptRecord(2, resumed_from=8),
        AttemptRecord(3, resumed_from=4),
    ]
    lines = [line(4, 1), line(6, 1), line(9, 2), line(5, 3)]
    assert merge(lines, records) == [line(4, 1), line(5, 3)]


@given(st.lists(st.integers(1, 12), min_size=1, max_size=5), st.data())
def test_merging_equals_a_run_that_was_never_killed(lengths: list[int], data: st.DataObject) -> None:
    """Each attempt starts at some step reached before and runs on; the course is what the last view shows."""
    lines: list[Line] = []
    records: list[AttemptRecord] = []
    course: list[Line] = []
    for attempt, length in enumerate(lengths, start=1):
        start = data.draw(st.integers(0, len(course)))
        records.append(AttemptRecord(attempt, resumed_from=start))
        fresh = [line(step, attempt) for step in range(start + 1, start + 1 + length)]
        lines += fresh
        course = course[:start] + fresh
    shuffled = data.draw(st.permutations(lines))
    assert merge(shuffled, records) == course


def test_samples_are_found_by_step(run: RunDirectory) -> None:
    key = run.write_sample(2000, "text.jsonl", b"x")
    assert key == "samples/step-00002000/text.jsonl"
    run.write_sample(500, "grid.png", b"y")
    run.storage.write("samples/readme", b"")
    assert [(s.step, s.name) for s in run.samples()] == [(500, "grid.png"), (2000, "text.jsonl")]
    assert run.storage.read(run.samples()[1].key) == b"x"
    with pytest.raises(InputError):
        run.write_sample(1, "../../job.json", b"")


def test_data_files_round_trip(run: RunDirectory) -> None:
    files = {"tokenizer.json": b"{}", "more/merges.txt": b"a b"}
    run.write_data_files(files)
    assert run.read_data_files() == files


def test_a_claim_cleans_up_after_the_killed(run: RunDirectory) -> None:
    run.create_job({})
    root = Path(run.uri)
    (root / ".raygen-tmp-elsewhere-1-00-00").write_bytes(b"")
    os.utime(root / ".raygen-tmp-elsewhere-1-00-00", (0, 0))
    run.claim()
    assert sorted(p.name for p in root.iterdir()) == ["attempts", "job.json"]
