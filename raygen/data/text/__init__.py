"""Text: documents, tokenizers, and windows of tokens."""
