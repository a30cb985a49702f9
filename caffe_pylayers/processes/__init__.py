"""Programs of ours: how they are started, what they and their parent owe each other."""
