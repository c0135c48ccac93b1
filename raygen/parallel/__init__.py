"""How samples, weights and gradients are spread over workers."""
