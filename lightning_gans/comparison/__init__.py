"""Comparing runs: the same settings with several seeds, and settings with each other.

Nothing here imports PyTorch before it is needed, so that a page which is up to date is drawn at
once.
"""
