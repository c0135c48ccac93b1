"""What trains trials: one at a time in each of several processes."""
