from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.storage import step_folder, step_of


@given(st.integers(min_value=0, max_value=10**10))
def test_a_step_survives_its_folder_name(step: int) -> None:
    assert step_of(step_folder(step)) == step


def test_steps_sort_as_numbers() -> None:
    assert step_folder(2000) == "step-00002000"
    assert step_folder(999) < step_folder(1000)


@pytest.mark.parametrize("name", ["step-1", "step-000000001", "step-0000000x", "steps", "", "step-٠٠٠٠٠٠٠١"])
def test_other_names_are_no_steps(name: str) -> None:
    assert step_of(name) is None
