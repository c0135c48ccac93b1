"""Metrics of generated texts that need neither a judge nor a model: how much they repeat, and what of them is new."""
