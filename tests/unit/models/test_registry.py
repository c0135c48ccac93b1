from __future__ import annotations

from importlib import import_module

import pytest

from raygen.spec.families.table import FAMILIES


@pytest.mark.parametrize("name", FAMILIES)
def test_a_familys_module_has_what_the_registry_promises(name: str) -> None:
    assert callable(import_module(FAMILIES[name].module).build)
