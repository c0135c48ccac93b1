"""Records: what the sources of a job hold, one by one, whatever the format."""
