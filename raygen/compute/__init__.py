"""What a machine computes with: its device, and arithmetic that gives the same bits."""
