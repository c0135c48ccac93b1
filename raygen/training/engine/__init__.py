"""The training loop and what it works with; knows no family, no Ray and no cluster."""
