"""Model families: networks, losses, and each family's own step, evaluation and samples."""
