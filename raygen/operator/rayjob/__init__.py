"""RayJobs: made from a job and its runtime, and what their pods say when they do not run."""
