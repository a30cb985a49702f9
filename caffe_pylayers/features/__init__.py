"""Layers on features as functions of arrays: values and gradients. NumPy or CuPy, as the inputs are; no Caffe."""
