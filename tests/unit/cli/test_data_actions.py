"""What `raygen data` offers is what a job file may say."""

from typing import get_args

from raygen.cli.data_actions import FORMATS
from raygen.spec import Source


def test_every_format_can_be_inspected() -> None:
    assert sorted(FORMATS) == sorted(get_args(Source.model_fields["format"].annotation))
