"""Searches that model what trials have come to; Optuna, SciPy and PyTorch are loaded by them alone."""
