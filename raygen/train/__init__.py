"""Trains: the loop that knows no model family, the run directory, and what a person sees of a run.

`raygen.train` is this package and, when called, `raygen.train.run.train`:

    result = raygen.train("job.yaml", run="mine")

    import raygen.train.run
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from raygen.train.result import Result as Result
    from raygen.train.run import train as train

__all__ = ["Result", "train"]


class _CallablePackage(ModuleType):
    """Importing any module below `raygen.train` binds that name to this package, so the package itself
    must be what `raygen.train(job)` calls.
    """

    def __call__(self, *args: Any, **options: Any) -> Result:
        from raygen.train.run import train

        return train(*args, **options)


sys.modules[__name__].__class__ = _CallablePackage


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'raygen.train' has no attribute {name!r}")
    from raygen.train import run

    return getattr(run, name)
