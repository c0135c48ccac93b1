"""The driver's store over TCP: what workers see of it, from several threads, and what others do not."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.training.engine.store import Store, Table
from raygen.training.ray.wire import Address, Remote, serve

SECONDS = 30.0


@contextmanager
def served() -> Iterator[tuple[Table, Address]]:
    table = Table(SECONDS)
    with serve(table, "127.0.0.1") as address:
        yield table, address


@pytest.fixture(scope="module")
def stores() -> Iterator[tuple[Table, Remote]]:
    with served() as (table, address), closing(Remote(address, SECONDS)) as remote:
        yield table, remote


@given(key=st.text(), value=st.text())
def test_what_one_side_sets_the_other_gets(stores: tuple[Table, Remote], key: str, value: str) -> None:
    for here, there in (stores, stores[::-1]):
        here.set(key, value)
        assert there.check([key])
        assert there.get(key) == value
        assert there.delete_key(key)
        assert not here.check([key])
        assert not here.delete_key(key)


@given(amounts=st.lists(st.integers(-(10**6), 10**6)))
def test_numbers_add_up(stores: tuple[Table, Remote], amounts: list[int]) -> None:
    table, remote = stores
    sums = [remote.add("number", amount) for amount in amounts]
    assert sums == [sum(amounts[: count + 1]) for count in range(len(amounts))]
    assert table.add("number", 0) == sum(amounts)
    table.delete_key("number")


def test_a_key_is_waited_for_while_other_threads_ask(stores: tuple[Table, Remote]) -> None:
    table, remote = stores
    found: list[str] = []
    waiting = threading.Thread(target=lambda: found.append(remote.get("late")))
    waiting.start()
    for number in range(20):
        remote.set("other", str(number))
    assert waiting.is_alive()
    table.set("late", "there")
    waiting.join(SECONDS)
    assert found == ["there"]


def test_a_key_that_nobody_sets_is_an_error() -> None:
    with served() as (_, address), closing(Remote(address, 0.3)) as remote:
        with pytest.raises(TimeoutError, match="nobody has set missing"):
            remote.get("missing")
        with pytest.raises(TimeoutError, match="nobody has set missing"):
            Table(0.01).get("missing")


def test_threads_do_not_mix_their_answers(stores: tuple[Table, Remote]) -> None:
    _, remote = stores
    mistakes: list[str] = []

    def work(name: str) -> None:
        for number in range(50):
            remote.set(name, f"{name}-{number}")
            if (got := remote.get(name)) != f"{name}-{number}":
                mistakes.append(got)

    threads = [threading.Thread(target=work, args=(str(number),)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    assert not mistakes


def test_who_does_not_know_the_token_is_not_heard() -> None:
    with served() as (table, address):
        stranger = Remote(replace(address, token="0" * 64), SECONDS)
        with closing(stranger), pytest.raises(ConnectionError):
            stranger.set("stop", "now")
        with socket.create_connection((address.host, address.port), SECONDS) as plain:
            plain.sendall(b'["set", "stop", "now"]\n')
            assert plain.recv(1) == b""
        assert not table.check(["stop"])


def test_an_address_need_not_be_the_machines_own() -> None:
    table = Table(SECONDS)
    with serve(table, "192.0.2.1") as address:
        assert address.host == "192.0.2.1"
        with closing(Remote(replace(address, host="127.0.0.1"), SECONDS)) as remote:
            remote.set("key", "value")
    assert table.get("key") == "value"


def test_workers_learn_that_their_driver_is_gone() -> None:
    with served() as (_, address):
        remote = Remote(address, SECONDS)
        remote.set("key", "value")
        errors: list[Exception] = []

        def wait() -> None:
            try:
                remote.get("never")
            except ConnectionError as error:
                errors.append(error)

        thread = threading.Thread(target=wait)
        thread.start()
    thread.join(SECONDS)
    remote.close()
    assert len(errors) == 1
    with pytest.raises(ConnectionError):
        Remote(address, SECONDS)


def test_both_are_stores() -> None:
    with served() as (table, address), closing(Remote(address)) as remote:
        stores: list[Store] = [table, remote]
    assert len(stores) == 2
