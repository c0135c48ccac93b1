"""Copies of training images among generated ones, as figures, an alarm and a picture."""

from raygen.evaluation.memorisation.copies import Copies, CopyFinder, Features, find_copies
from raygen.evaluation.memorisation.picture import picture

__all__ = ["Copies", "CopyFinder", "Features", "find_copies", "picture"]
