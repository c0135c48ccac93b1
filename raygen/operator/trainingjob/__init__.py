"""TrainingJobs: the plan for one, and one module for each policy in it."""
