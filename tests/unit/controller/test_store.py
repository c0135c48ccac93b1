from __future__ import annotations

import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from raygen.controller.store import Store

Object = dict[str, Any]


def item(name: str, version: int, uid: str = "u", group: str = "") -> Object:
    metadata = {"namespace": "n", "name": name, "uid": uid, "resourceVersion": str(version)}
    return {"metadata": metadata, "group": group}


def store() -> Store:
    return Store({"group": lambda one: [one["group"]] if one["group"] else []})


def test_older_states_do_not_replace_newer_ones() -> None:
    known = store()
    assert known.put(item("a", 5)) == (True, None)
    assert known.put(item("a", 4)) == (False, item("a", 5))
    assert known.put(item("a", 5))[0] is False
    assert known.put(item("a", 6)) == (True, item("a", 5))


def test_what_was_deleted_does_not_come_back_by_an_older_answer() -> None:
    known = store()
    known.put(item("a", 5))
    assert known.remove(item("a", 7)) == item("a", 5)
    assert known.put(item("a", 6)) == (False, None)
    assert known.get(("n", "a")) is None
    assert known.put(item("a", 8, uid="v"))[0]


def test_a_late_word_of_a_deletion_leaves_the_successor() -> None:
    known = store()
    known.put(item("a", 9, uid="v"))
    assert known.remove(item("a", 7, uid="u")) is None
    assert known.get(("n", "a")) == item("a", 9, uid="v")


def test_an_index_follows_its_objects() -> None:
    known = store()
    known.put(item("b", 1, group="x"))
    known.put(item("a", 2, group="x"))
    assert [one["metadata"]["name"] for one in known.by("group", "x")] == ["a", "b"]
    known.put(item("a", 3, group="y"))
    known.remove(item("b", 4))
    assert known.by("group", "x") == []
    assert [one["metadata"]["name"] for one in known.by("group", "y")] == ["a"]


def test_a_list_says_what_changed() -> None:
    known = store()
    for number, name in enumerate("abc"):
        known.put(item(name, number + 1))
    changes = known.replace([item("a", 1), item("b", 9), item("d", 8), item("c", 2)])
    assert (item("b", 2), item("b", 9)) in changes
    assert (None, item("d", 8)) in changes
    # The list is older in what it says of c.
    assert [one for one in changes if (one[0] or one[1] or {})["metadata"]["name"] in "ac"] == []
    assert known.get(("n", "c")) == item("c", 3)


def test_what_was_made_while_a_list_was_on_its_way_stays() -> None:
    known = store()
    known.put(item("a", 3))
    known.put(item("b", 7))
    assert known.replace([], 5) == [(item("a", 3), None)]
    assert known.get(("n", "b")) == item("b", 7)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["change", "delete"])), max_size=12),
    st.integers(0, 2**32),
)
def test_whatever_the_order_and_the_repetitions_of_events_the_newest_state_stays(
    history: list[tuple[str, str]], seed: int
) -> None:
    events, alive = [], {}
    for version, (name, what) in enumerate(history, start=1):
        events.append((what, item(name, version)))
        alive[name] = item(name, version) if what == "change" else None
    shuffled = random.Random(seed)
    known = store()
    for what, one in shuffled.sample([*events, *events], 2 * len(events)):
        _ = known.put(one) if what == "change" else known.remove(one)
    for name in "ab":
        assert known.get(("n", name)) == alive.get(name)
