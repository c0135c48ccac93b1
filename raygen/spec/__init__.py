"""The job file: its kinds, their defaults, their faults. Needs pydantic alone."""

from __future__ import annotations

from raygen.spec.custom import Custom
from raygen.spec.data import Data, Images, Source, Tokenizer
from raygen.spec.defaults import Change, diff, may_change, resolve
from raygen.spec.evaluation import Evaluation, Metric, Samples
from raygen.spec.faults import Fault
from raygen.spec.gan import GAN, Augmentation
from raygen.spec.guards import Guard, RollBack
from raygen.spec.job import API_VERSION, KIND, Metadata, Scale, TrainingJob, TrainingJobSpec
from raygen.spec.model import Model, Transformer
from raygen.spec.notices import notices
from raygen.spec.output import Checkpoint, Output, Tracking
from raygen.spec.training import Duration, EarlyStopping, Ema, Optimizer, Optimizers, Schedule, Training
from raygen.spec.vae import VAE, Codebook
from raygen.spec.validate import check, parse

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
    "Metadata",
    "Metric",
    "Model",
    "Optimizer",
    "Optimizers",
    "Output",
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
    "may_change",
    "notices",
    "parse",
    "resolve",
]
