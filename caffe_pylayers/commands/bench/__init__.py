"""How fast data come, how fast the net takes them, and what to change."""
