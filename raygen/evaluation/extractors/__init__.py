"""Feature extractors of images: a network and its weights' SHA-256, by which every number that it gives is named."""

from raygen.evaluation.extractors.architectures import Classifier, register
from raygen.evaluation.extractors.extractor import Embedded, Extractor
from raygen.evaluation.extractors.inputs import Inputs
from raygen.evaluation.extractors.kinds import Kind, Network, Onnx, Timm
from raygen.evaluation.extractors.opening import open_extractor, read_extractor
from raygen.evaluation.extractors.recipe import Trained, train_extractor

__all__ = [
    "Classifier",
    "Embedded",
    "Extractor",
    "Inputs",
    "Kind",
    "Network",
    "Onnx",
    "Timm",
    "Trained",
    "open_extractor",
    "read_extractor",
    "register",
    "train_extractor",
]
