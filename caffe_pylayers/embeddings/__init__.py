"""Embeddings against the vectors of classes: values and gradients, of arrays alone."""
