"""Random changes to training samples, in batches on their device, each drawn for its sample alone."""
