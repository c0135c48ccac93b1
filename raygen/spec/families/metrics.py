"""Types of metrics of what a model makes, by what that is."""

from __future__ import annotations

NEIGHBOURHOOD = ("Precision", "Recall", "Density", "Coverage")
"""Those of images that ask which samples are neighbours."""
OF_IMAGES = (
    "FrechetDistance",
    "KernelDistance",
    *NEIGHBOURHOOD,
    "ClassifierScore",
    "MeanPairwiseDistance",
    "VendiScore",
)
"""Of generated images; all are computed from an extractor's features."""
OF_TEXTS = ("DistinctNgrams", "RepeatedNgrams", "SelfBLEU")
"""Of generated texts."""
GENERATED = (*OF_IMAGES, *OF_TEXTS)
"""All of them; other metrics are of the validation split."""
