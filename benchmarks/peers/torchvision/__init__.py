"""As much of torchvision as the scripts of pytorch/examples use, so that they read images from memory.

The folder stands before the installed packages when such a script runs; see peers/turns.py. A data set is decoded
and transformed once, so that the script's own steps are what is measured.
"""
