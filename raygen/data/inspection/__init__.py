"""A look at data before there is a job: its format, columns, counts and some of its records."""
