"""Scores of a given model and batches, and the report of a run."""
