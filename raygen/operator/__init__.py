"""Looks after TrainingJobs: watches, plans, applies; one file for each policy."""
