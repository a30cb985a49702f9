"""Small files that options and commands name."""
