"""What a job file may say of each model family."""
