"""The job file: its kinds, their defaults, their faults. Needs pydantic alone."""

from __future__ import annotations

from raygen.spec.data import Data, Source, Tokenizer
from raygen.spec.defaults import Change, diff, may_change, resolve
from raygen.spec.evaluation import Evaluation, Metric, Samples
from raygen.spec.faults import Fault
from raygen.spec.job import API_VERSION, KIND, Metadata, Scale, TrainingJob, TrainingJobSpec
from raygen.spec.model import Model, Transformer
from raygen.spec.output import Checkpoint, Output, Tracking
from raygen.spec.training import Duration, EarlyStopping, Ema, Optimizer, Schedule, Training
from raygen.spec.validate import check, parse

__all__ = [
    "API_VERSION",
    "KIND",
    "Change",
    "Checkpoint",
    "Data",
    "Duration",
    "EarlyStopping",
    "Ema",
    "Evaluation",
    "Fault",
    "Metadata",
    "Metric",
    "Model",
    "Optimizer",
    "Output",
    "Samples",
    "Scale",
    "Schedule",
    "Source",
    "Tokenizer",
    "Tracking",
    "Training",
    "TrainingJob",
    "TrainingJobSpec",
    "Transformer",
    "check",
    "diff",
    "may_change",
    "parse",
    "resolve",
]
