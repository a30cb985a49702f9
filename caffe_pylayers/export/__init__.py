"""Weights for other libraries: what `caffe-pylayers export` writes, for scripts and notebooks."""

from caffe_pylayers.export.weights import META, Export, export

__all__ = ["META", "Export", "export"]
