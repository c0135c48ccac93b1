"""Metrics of what a model makes: generated, embedded, compared with real data, on any number of workers."""
