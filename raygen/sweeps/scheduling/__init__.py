"""What decides how long each trial trains."""
