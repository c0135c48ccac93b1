from __future__ import annotations

import typing
from importlib import import_module

import pytest

from raygen.models.registry import FAMILIES
from raygen.spec import Model


def test_every_model_type_of_the_format_has_a_family() -> None:
    assert FAMILIES.keys() == set(typing.get_args(Model.model_fields["type"].annotation))


@pytest.mark.parametrize("name", FAMILIES)
def test_a_familys_modules_have_what_the_registry_promises(name: str) -> None:
    assert callable(import_module(FAMILIES[name]).build)
