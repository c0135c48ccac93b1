"""Ten thousand jobs through the operator's plan and rendering."""

from __future__ import annotations

import pytest

from tests.unit.operator.rayjob.test_render import SEED, render_many


@pytest.mark.parametrize("part", range(4))
def test_ten_thousand_jobs_are_rendered_well_or_refused_with_a_path(part: int) -> None:
    render_many(range(SEED + 2500 * part, SEED + 2500 * (part + 1)))
