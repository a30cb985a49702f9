"""Decoded images, kept for the next epoch: in memory, or in a file."""
