"""The command line: it parses and prints; everything else is imported when a command runs."""
