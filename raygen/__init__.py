"""raygen trains generative models from one job file.

    import raygen

    result = raygen.train("examples/01-gpt-tiny.yaml", run="mine")
    print(result.metrics["loss"])

Names are loaded when they are first used, so that `import raygen` needs neither pydantic nor torch. Imported before torch,
it also says how torch's threads wait for each other (`raygen.threads`).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from raygen.threads import set_waiting

if TYPE_CHECKING:
    from raygen.errors import RaygenError as RaygenError
    from raygen.errors import ValidationError as ValidationError
    from raygen.jobfile import load as load
    from raygen.spec import TrainingJob as TrainingJob
    from raygen.train import Result as Result
    from raygen.train import train as train
    from raygen.train.runs import Run as Run

__version__ = "0.1.0"

_HOMES = {
    "RaygenError": "raygen.errors",
    "Result": "raygen.train",
    "Run": "raygen.train.runs",
    "TrainingJob": "raygen.spec",
    "ValidationError": "raygen.errors",
    "load": "raygen.jobfile",
    "train": "raygen.train",
}

__all__ = ["RaygenError", "Result", "Run", "TrainingJob", "ValidationError", "__version__", "load", "train"]


set_waiting()


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'raygen' has no attribute {name!r}")
    module = import_module(_HOMES[name])
    # The package raygen.train is callable; see there.
    return module if name == "train" else getattr(module, name)


def __dir__() -> list[str]:
    return sorted(__all__)
