"""Policies of a TrainingJob, one module each."""
