"""Sweep: which jobs to try, in which order, and what decides which of them is best."""
