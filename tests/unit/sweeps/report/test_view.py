from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.sweeps.report.view import SHOWN_CHARACTERS, short_names, shown
from tests.budget import examples

PARTS = st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map(".".join)


def test_names_are_the_shortest_ends_that_are_not_alike() -> None:
    paths = [
        "training.optimizer.learningRate",
        "training.optimizers.generator.type",
        "model.type",
        "model.gan.step",
    ]
    assert list(short_names(paths, ["step"]).values()) == [
        "learningRate",
        "generator.type",
        "model.type",
        "gan.step",
    ]


@examples(100)
@given(st.lists(PARTS, unique=True, max_size=8))
def test_no_two_names_are_alike(paths: list[str]) -> None:
    names = short_names(paths)
    assert len(set(names.values())) == len(paths)
    assert all(path == name or path.endswith(f".{name}") for path, name in names.items())


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.00123456, "0.001235"),
        (16, "16"),
        (2.0, "2"),
        (True, "true"),
        (None, "null"),
        ("AdamW", "AdamW"),
        ({"a": [1]}, '{"a": [1]}'),
    ],
)
def test_values_are_short(value: object, text: str) -> None:
    assert shown(value) == text  # type: ignore[arg-type]
    assert len(shown("x" * 1000)) == SHOWN_CHARACTERS
