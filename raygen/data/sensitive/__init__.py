"""What may have to be kept out of a text: personal data and secrets by their form, and the words of block lists."""
