"""What a check found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warning", "fault", "unknown"]


@dataclass(frozen=True)
class Finding:
    """One statement about a cluster.

    Attributes:
        check: Name of the check.
        state: ok; warning: some jobs will not run; fault: none will; unknown: the caller may not see it.
        said: What is, or is wrong.
        remedy: What to do.
    """

    check: str
    state: State
    said: str
    remedy: str = ""
