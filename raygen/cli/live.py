"""A console on which something changes at the bottom, while lines above it stay."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live


class LiveConsole:
    """Prints to stderr; stdout stays free for data. Only on a terminal there is something that changes.

    Args:
        console: Where to print. Default: stderr.
        per_second: How often what changes is drawn.
    """

    def __init__(self, console: Console | None, per_second: int) -> None:
        self._console = console or Console(file=sys.stderr, highlight=False, soft_wrap=True)
        self._live = Live(console=self._console, refresh_per_second=per_second, transient=True)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()
