"""The job file: its kinds, their defaults, their faults. Needs pydantic alone."""

from __future__ import annotations

from raygen.spec.data.images import Images
from raygen.spec.data.sources import Source
from raygen.spec.data.splits import Data
from raygen.spec.data.tokenizers import Tokenizer
from raygen.spec.families.custom import Custom
from raygen.spec.families.gan import GAN, Augmentation
from raygen.spec.families.transformer import Transformer
from raygen.spec.families.vae import VAE, Codebook
from raygen.spec.job.changes import Change, diff, may_change
from raygen.spec.job.evaluation import Evaluation, Metric, Samples
from raygen.spec.job.guards import Guard, RollBack
from raygen.spec.job.model import Model
from raygen.spec.job.notices import notices
from raygen.spec.job.output import Checkpoint, Output, Tracking
from raygen.spec.job.resolved import ResolvedJob, in_force, resolve
from raygen.spec.job.training import Duration, EarlyStopping, Ema, Optimizer, Optimizers, Schedule, Training
from raygen.spec.job.training_job import (
    KIND,
    Metadata,
    Scale,
    TrainingJob,
    TrainingJobSpec,
    check,
    parse,
)
from raygen.spec.names import API_VERSION
from raygen.spec.schema.base import Kind
from raygen.spec.schema.faults import Fault
from raygen.spec.schema.validate import parse_kind

__all__ = [
    "API_VERSION",
    "GAN",
    "KIND",
    "VAE",
    "Augmentation",
    "Change",
    "Checkpoint",
    "Codebook",
    "Custom",
    "Data",
    "Duration",
    "EarlyStopping",
    "Ema",
    "Evaluation",
    "Fault",
    "Guard",
    "Images",
    "Kind",
    "Metadata",
    "Metric",
    "Model",
    "Optimizer",
    "Optimizers",
    "Output",
    "ResolvedJob",
    "RollBack",
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
    "in_force",
    "may_change",
    "notices",
    "parse",
    "parse_kind",
    "resolve",
]
