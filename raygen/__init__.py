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
    from raygen.inference.run import Run as Run
    from raygen.jobfile import load as load
    from raygen.models.sample import Sample as Sample
    from raygen.models.sample import SampleRequest as SampleRequest
    from raygen.spec import TrainingJob as TrainingJob
    from raygen.sweeps.sweep import sweep as sweep
    from raygen.training.driver import train as train
    from raygen.training.engine.control import Control as Control
    from raygen.training.observers.events import Observer as Observer
    from raygen.training.observers.events import Progress as Progress
    from raygen.training.observers.events import Started as Started
    from raygen.training.observers.events import WorkersLost as WorkersLost
    from raygen.training.result import Result as Result

__version__ = "0.1.0"

_HOMES = {
    "Control": "raygen.training.engine.control",
    "Observer": "raygen.training.observers.events",
    "Progress": "raygen.training.observers.events",
    "RaygenError": "raygen.errors",
    "Result": "raygen.training.result",
    "Run": "raygen.inference.run",
    "Sample": "raygen.models.sample",
    "SampleRequest": "raygen.models.sample",
    "Started": "raygen.training.observers.events",
    "TrainingJob": "raygen.spec",
    "ValidationError": "raygen.errors",
    "WorkersLost": "raygen.training.observers.events",
    "load": "raygen.jobfile",
    "sweep": "raygen.sweeps.sweep",
    "train": "raygen.training.driver",
}

__all__ = [
    "Control",
    "Observer",
    "Progress",
    "RaygenError",
    "Result",
    "Run",
    "Sample",
    "SampleRequest",
    "Started",
    "TrainingJob",
    "ValidationError",
    "WorkersLost",
    "__version__",
    "load",
    "sweep",
    "train",
]


set_waiting()


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'raygen' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
