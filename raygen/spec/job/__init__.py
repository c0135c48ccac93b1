"""TrainingJob, one module for each block of a job file."""
