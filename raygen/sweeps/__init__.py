"""Sweeps: many trainings of one job, what chooses their values and lengths, and the log by which all of it can be replayed."""
