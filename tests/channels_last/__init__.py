"""Nets of images height x width x channels, run from nothing but an exported .npz: `python -m tests.channels_last FOLDER`."""
