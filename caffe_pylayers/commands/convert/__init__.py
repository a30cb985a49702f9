"""Conversion of a source into another format."""
