"""Weights for other libraries: what `caffe-pylayers export` writes."""
