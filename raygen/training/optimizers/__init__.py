"""Optimizers as a job describes them, and the learning rate over the steps."""
