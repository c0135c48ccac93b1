"""Images: files decoded to pixels of one size, with labels."""
