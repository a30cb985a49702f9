"""What is wrong with a net or solver, its data and its weights, before it is trained."""
