"""`raygen data`: a module for each of its actions."""
