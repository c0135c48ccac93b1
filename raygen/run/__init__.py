"""A run directory: attempts, metrics, logs, samples, checkpoints, and a run as readers see it."""
