"""The offline judge: the five scores of `raygen.evaluation.judge` from one file, with no network and no GPU."""

from raygen.evaluation.judge.offline.judge import LocalJudge
from raygen.evaluation.judge.offline.training.train import Amounts, TrainReport, train_judge

__all__ = ["Amounts", "LocalJudge", "TrainReport", "train_judge"]
