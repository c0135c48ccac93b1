from __future__ import annotations

import errno
import multiprocessing
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raygen.errors import InputError, OutputError
from raygen.storage import AlreadyExistsError, Entry, LocalStorage, NotFoundError, Storage
from raygen.storage.temporary import FOREIGN_STALE_SECONDS


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path / "root")


def all_files(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_what_is_written_is_read(storage: Storage) -> None:
    storage.write("a/b.bin", b"first")
    storage.write("a/b.bin", b"second")
    assert storage.read("a/b.bin") == b"second"
    assert storage.size("a/b.bin") == 6
    assert storage.exists("a/b.bin")
    with storage.open("a/b.bin") as stream:
        stream.seek(3)
        assert stream.read() == b"ond"


def test_stream_joins_its_chunks(storage: Storage) -> None:
    storage.stream("x", (memoryview(bytes([i])) for i in range(200)))
    assert storage.read("x") == bytes(range(200))


def test_a_missing_object_is_named(storage: Storage) -> None:
    for look in (storage.read, storage.open, storage.size):
        with pytest.raises(NotFoundError, match="absent"):
            look("absent")
    assert not storage.exists("absent")
    storage.delete("absent")


def test_a_folder_is_no_object(storage: Storage) -> None:
    storage.write("a/b", b"")
    assert not storage.exists("a")
    assert not storage.exists("a/b/c")


def test_list_is_sorted_and_keeps_to_its_prefix(storage: Storage) -> None:
    for key in ("b", "a/2", "a/1", "a-b/3", "a/c/4"):
        storage.write(key, key.encode())
    assert list(storage.list("a/")) == [Entry("a/1", 3), Entry("a/2", 3), Entry("a/c/4", 5)]
    assert [e.key for e in storage.list()] == ["a-b/3", "a/1", "a/2", "a/c/4", "b"]
    assert list(storage.list("nothing/")) == []


def test_within_sees_the_same_objects_by_shorter_keys(storage: Storage) -> None:
    storage.within("run").write("x", b"1")
    assert storage.read("run/x") == b"1"
    assert list(storage.within("run").list()) == [Entry("x", 1)]


def test_delete_prefix_leaves_its_neighbours(storage: Storage) -> None:
    for key in ("a/1", "a/b/2", "ab/3"):
        storage.write(key, b"")
    storage.delete_prefix("a/")
    storage.delete_prefix("a/")
    assert [e.key for e in storage.list()] == ["ab/3"]
    with pytest.raises(InputError, match="whole storage"):
        storage.delete_prefix("")


@pytest.mark.parametrize(
    "key", ["", "/etc/passwd", "../x", "a/../../x", "a//b", "a/", "./a", "a\0b", "a\\b", "\ud800"]
)
def test_keys_that_could_escape_are_refused(storage: Storage, tmp_path: Path, key: str) -> None:
    for call in (
        lambda: storage.write(key, b"x"),
        lambda: storage.create(key, b"x"),
        lambda: storage.read(key),
        lambda: storage.delete(key),
        lambda: storage.within(key),
        lambda: storage.local_path(key),
    ):
        with pytest.raises(InputError, match="object name"):
            call()
    assert all_files(tmp_path) == []


def test_a_prefix_ends_with_a_slash(storage: Storage) -> None:
    for prefix in ("a", "/", "../", "a//"):
        with pytest.raises(InputError):
            storage.list(prefix)


def test_links_that_lead_to_each_other_are_refused(storage: LocalStorage, tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(InputError):
        LocalStorage(tmp_path / "a" / "runs").read("key")
    root = Path(storage.uri)
    root.mkdir(exist_ok=True)
    (root / "loop").symlink_to(root / "loop")
    with pytest.raises(InputError):
        storage.read("loop/key")


def test_a_working_folder_that_is_gone_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(InputError, match="the working folder is gone"):
        LocalStorage(Path("runs"))


def test_symbolic_links_lead_nowhere_outside(storage: LocalStorage, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    storage.write("inside", b"x")
    root = Path(storage.uri)
    (root / "folder").symlink_to(outside)
    (root / "file").symlink_to(outside / "secret")
    for call in (
        lambda: storage.read("file"),
        lambda: storage.read("folder/secret"),
        lambda: storage.write("folder/new", b""),
        lambda: storage.delete("folder/secret"),
        lambda: storage.within("folder"),
        lambda: storage.delete_prefix("folder/deeper/"),
        lambda: storage.delete_prefix("folder/"),
        lambda: storage.list("folder/"),
        lambda: storage.clean("folder/"),
    ):
        with pytest.raises(InputError, match="symbolic link"):
            call()
    assert [e.key for e in storage.list()] == ["inside"]
    storage.write("file", b"replaces the link itself")
    assert (outside / "secret").read_text() == "secret"
    assert all_files(outside) == ["secret"]


@given(key=st.text(min_size=1, max_size=30), data=st.binary(max_size=50))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_key_round_trips_or_is_refused(tmp_path: Path, key: str, data: bytes) -> None:
    storage = LocalStorage(tmp_path / "any")
    try:
        storage.write(key, data)
    except (InputError, OutputError):
        return
    assert storage.read(key) == data
    assert Entry(key, len(data)) in list(storage.list())
    storage.delete(key)


def test_create_refuses_what_exists(storage: Storage) -> None:
    storage.create("claim", b"first")
    with pytest.raises(AlreadyExistsError):
        storage.create("claim", b"second")
    assert storage.read("claim") == b"first"
    assert [e.key for e in storage.list()] == ["claim"]


@pytest.mark.parametrize("answer", [errno.EPERM, errno.EOPNOTSUPP])
def test_create_works_without_hard_links(
    storage: Storage, monkeypatch: pytest.MonkeyPatch, answer: int
) -> None:
    def no_links(*args: object, **kwargs: object) -> None:
        raise OSError(answer, "no hard links here")

    monkeypatch.setattr(os, "link", no_links)
    storage.create("claim", b"first")
    with pytest.raises(AlreadyExistsError):
        storage.create("claim", b"second")
    assert storage.read("claim") == b"first"


def _race(root: str, number: int, barrier: object, results: object) -> None:
    storage = LocalStorage(Path(root))
    barrier.wait()  # type: ignore[attr-defined]
    try:
        storage.create("claims/one", str(number).encode())
    except AlreadyExistsError:
        return
    results.put(number)  # type: ignore[attr-defined]


def test_of_several_processes_one_creates(storage: Storage) -> None:
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(4), context.Queue()
    racers = [context.Process(target=_race, args=(storage.uri, i, barrier, results)) for i in range(4)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    winner = results.get(timeout=10)
    assert results.empty()
    assert storage.read("claims/one") == str(winner).encode()


def test_a_stream_that_breaks_leaves_the_old_object(storage: Storage, tmp_path: Path) -> None:
    def breaks() -> Iterator[bytes]:
        yield b"half"
        raise RuntimeError("stop")

    storage.write("x", b"old")
    with pytest.raises(RuntimeError, match="stop"):
        storage.stream("x", breaks())
    assert storage.read("x") == b"old"
    assert all_files(tmp_path) == ["root/x"]


FAULTS = [
    (errno.ENOSPC, "full"),
    (errno.EDQUOT, "full"),
    (errno.EROFS, "read-only"),
    (errno.EACCES, "permission"),
    (errno.EIO, "Input/output error"),
]


@pytest.mark.parametrize(("number", "word"), FAULTS)
@pytest.mark.parametrize("call", ["fsync", "open"])
def test_a_refusing_disk_is_explained_and_costs_nothing(
    storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, word: str, call: str
) -> None:
    storage.write("x", b"old")

    def refuses(*args: object, **kwargs: object) -> int:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as broken:
        broken.setattr(os, call, refuses)
        for write in (storage.write, storage.create):
            with pytest.raises(OutputError, match=word) as caught:
                write("x" if write == storage.write else "y", b"new")
            assert caught.value.remedy
            assert str(tmp_path) in caught.value.where
    assert storage.read("x") == b"old"
    assert all_files(tmp_path) == ["root/x"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is Linux's")
def test_a_full_device_is_an_output_error(
    storage: Storage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    storage.write("old", b"old")
    really = os.open

    def full(path: Path, flags: int, mode: int = 0o777) -> int:
        return really("/dev/full", os.O_WRONLY) if flags & os.O_CREAT else really(path, flags, mode)

    monkeypatch.setattr(os, "open", full)
    with pytest.raises(OutputError, match="full"):
        storage.write("new", bytes(100))
    assert all_files(tmp_path) == ["root/old"]


def test_a_file_in_the_way_is_explained(storage: Storage) -> None:
    storage.write("a", b"")
    with pytest.raises(OutputError, match="a file stands"):
        storage.write("a/b", b"")
    storage.write("c/d", b"")
    with pytest.raises(OutputError, match="a folder stands"):
        storage.write("c", b"")
    assert [e.key for e in storage.list()] == ["a", "c/d"]


def leave(storage: LocalStorage, name: str, *, age: float = 0.0) -> Path:
    path = Path(storage.uri) / "a" / name
    path.write_bytes(b"unfinished")
    os.utime(path, (path.stat().st_atime, path.stat().st_mtime - age))
    return path


def test_what_killed_writers_leave_is_invisible_and_cleaned(storage: LocalStorage) -> None:
    storage.write("a/x", b"x")

    def live() -> Iterator[bytes]:
        own = next(p.name for p in (Path(storage.uri) / "a").iterdir() if p.name.startswith(".raygen-tmp-"))
        host, process, life, _ = own.removeprefix(".raygen-tmp-").split("-")
        dead = leave(storage, f".raygen-tmp-{host}-{2**22 + 1}-{life}-00")
        earlier = leave(storage, f".raygen-tmp-{host}-{process}-00000000-00")
        init = leave(storage, f".raygen-tmp-{host}-1-{life}-00")
        foreign = leave(storage, ".raygen-tmp-elsewhere-1-00-00")
        old = leave(storage, ".raygen-tmp-elsewhere-1-00-01", age=FOREIGN_STALE_SECONDS + 60)
        assert [e.key for e in storage.list()] == ["a/x"]
        assert storage.clean() == 3
        assert [p.exists() for p in (dead, earlier, old)] == [False] * 3
        assert foreign.exists()
        assert init.exists()
        yield b"finished"

    storage.stream("a/y", live())
    assert storage.read("a/y") == b"finished"
    with pytest.raises(InputError, match="unfinished"):
        storage.read("a/.raygen-tmp-elsewhere-1-00-00")


def test_files_honour_the_umask(storage: LocalStorage) -> None:
    before = os.umask(0o027)
    try:
        storage.write("x", b"")
    finally:
        os.umask(before)
    assert (Path(storage.uri) / "x").stat().st_mode & 0o777 == 0o640
