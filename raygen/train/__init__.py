"""The loop, ignorant of family; the run directory; what a person sees of a run."""
