"""The page of a sweep, made of its log and of the runs of its best trials."""
