"""What data a job learns from: where it is, how it is split, how text becomes tokens and files become images."""
